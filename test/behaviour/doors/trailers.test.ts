import assert from "node:assert/strict";
import { connect } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { metadataOnly } from "../../../src/core/metadata/metadata-only.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { acceptsTrailers } from "../../../src/gateway/http/trailers-wanted.ts";
import { Echo } from "../../support/echo-service.ts";
import { all, failure } from "../../support/failure.ts";
import { grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { ask as askHttp2 } from "../http2/http2-fixture.ts";
import { ask } from "../rpc-protocols/rpc-fixture.ts";
import { testServerEngine } from "../../support/test-engine.ts";

suite("whether a client takes trailers", () => {
  const cases: readonly (readonly [te: string | undefined, taken: boolean])[] = [
    [undefined, false],
    ["", false],
    ["trailers", true],
    ["Trailers", true],
    ["gzip;q=0.5, Trailers", true],
    ["TRAILERS , deflate", true],
    ["gzip,\ttrailers;q=1.0", true],
    ["trailers; q=0", false],
    ["trailers;q=0.000", false],
    ["trailers;q=0.5", true],
    ["notrailers", false],
    ["trailersx, gzip", false],
    ["gzip;x=trailers", false],
  ];
  for (const [te, taken] of cases) {
    test(JSON.stringify(te ?? null), () => {
      const headers = te === undefined ? {} : { te };
      for (const httpVersion of ["1.1", "2.0"]) {
        assert.equal(acceptsTrailers({ headers, httpVersion, method: "GET" }), taken);
      }
      assert.equal(acceptsTrailers({ headers, httpVersion: "1.0", method: "GET" }), false);
      assert.equal(acceptsTrailers({ headers, httpVersion: "1.1", method: "HEAD" }), false);
    });
  }
});

/** Starts a gateway that ends with the test; returns its port. */
async function gateway(
  t: TestContext,
  options: Pick<HttpServerOptions, "upstream"> & Partial<HttpServerOptions>,
) {
  const http = new HttpServer({ port: 0, logger: false, ...testServerEngine, ...options }).addService(
    EchoService,
  );
  await http.start();
  t.after(() => http.gracefulStop({ graceMs: 0 }));
  return http.address?.port ?? 0;
}

suite("what an error brings", () => {
  const failing = {
    behaviour: {
      headers: { "x-header": "h" },
      trailers: { "x-trailer": "t" },
      failure: { code: 16, message: "who", metadata: { "x-own": "o", "www-authenticate": "Own" } },
    },
  };
  const query = [
    "behaviour.headers[x-header]=h&behaviour.trailers[x-trailer]=t&behaviour.failure.code=16",
    "behaviour.failure.metadata[x-own]=o&behaviour.failure.metadata[www-authenticate]=Own&count=1",
  ].join("&");
  const names = ["x-header", "x-trailer", "x-own", "www-authenticate"];
  const pick = (fields: Readonly<Record<string, unknown>>): unknown[] => names.map((name) => fields[name]);
  const split = [
    ["h", undefined, undefined, "Own"],
    [undefined, "t", "o", undefined],
  ];
  const together = [
    ["h", "t", "o", "Own"],
    [undefined, undefined, undefined, undefined],
  ];

  for (const way of ["in-process", "network"] as const) {
    test(`is in trailers where the client takes them, in headers elsewhere (${way})`, async (t) => {
      const grpc = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
      await grpc.start();
      t.after(() => grpc.gracefulStop({ graceMs: 0 }));
      const port = await gateway(t, { upstream: grpc, dial: way });
      const type = { "content-type": "application/json" };
      for (const te of [undefined, "gzip;q=0.5, Trailers"]) {
        const more = te === undefined ? {} : { te, connection: "close, TE" };
        const unary = await ask(port, "/test/v1/echo", { ...type, ...more }, JSON.stringify(failing));
        const stream = await ask(port, `/test/v1/repeat/a?${query}`, more);
        const expected = te === undefined ? together : split;
        for (const { status, headers, trailers } of [unary, stream]) {
          assert.deepEqual([status, pick(headers), pick(trailers)], [401, ...expected]);
        }
      }
      const session = connect(`http://127.0.0.1:${port}`);
      t.after(() => session.destroy());
      for (const te of [undefined, "trailers"]) {
        const more = te === undefined ? {} : { te };
        const reply = await askHttp2(session, { ":path": `/test/v1/repeat/a?${query}`, ...more });
        const expected = te === undefined ? together : split;
        assert.deepEqual(
          [reply.headers[":status"], pick(reply.headers), pick(reply.trailers)],
          [401, ...expected],
        );
      }
    });
  }

  test("streams have trailers over HTTP/2, too", async (t) => {
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
    await grpc.start();
    t.after(() => grpc.gracefulStop({ graceMs: 0 }));
    const session = connect(`http://127.0.0.1:${await gateway(t, { upstream: grpc })}`);
    t.after(() => session.destroy());
    const path = "/test/v1/repeat/a?count=1&behaviour.trailers[x-trailer]=t";
    const { trailers } = await askHttp2(session, { ":path": path, te: "trailers" });
    assert.deepEqual([trailers["x-trailer"], trailers["grpc-status"]], ["t", "0"]);
  });
});

suite("headers that came before a deadline passed stay on the 504", { concurrency: true }, () => {
  const timeoutMs = 1_000;

  /** A server whose calls end behind the early headers, but for the first of a rpc: that one loads and compiles for long. */
  async function early(): Promise<RawGrpcServer> {
    const seen = new Set<unknown>();
    return new RawGrpcServer((stream, { ":path": path }) => {
      const headers = { ...grpcHeaders, "x-early": "e" };
      if (seen.has(path)) stream.respond(headers);
      else stream.respond({ ...headers, "grpc-status": "5" }, { endStream: true });
      seen.add(path);
    }).listen();
  }

  const ways: readonly (readonly [string, Partial<HttpServerOptions>])[] = [
    ["in bytes", {}],
    ["by messages", { transcoding: "messages" }],
    ["with an interceptor", { interceptors: [(next) => (request) => next(request)] }],
    ["with one that sees no message", { interceptors: [metadataOnly((next) => (request) => next(request))] }],
    ["observed", { observers: [{ finished() {} }] }],
  ];
  for (const [name, options] of ways) {
    test(name, async (t) => {
      await using server = await early();
      const port = await gateway(t, { upstream: server.target, ...options, headerFlushMs: 60_000 });
      const time = { "grpc-timeout": `${timeoutMs}m` };
      assert.equal((await ask(port, "/test/v1/echo/a", {})).status, 404);
      const answer = await ask(port, "/test/v1/echo/a", time);
      assert.deepEqual([answer.status, answer.headers["x-early"]], [504, "e"]);
    });
  }

  test("in the error of a client of one's own, whatever the kind of its call", async () => {
    await using server = await early();
    const transport = dial(server.target);
    const client = createClient(EchoService, transport);
    await failure(client.echo({}), Code.NotFound);
    await failure(all(client.repeat({})), Code.NotFound);
    const [unary, stream] = await Promise.all([
      failure(client.echo({}, { timeoutMs }), Code.DeadlineExceeded),
      failure(all(client.repeat({}, { timeoutMs })), Code.DeadlineExceeded),
    ]);
    assert.deepEqual([unary.metadata.get("x-early"), stream.metadata.get("x-early")], ["e", "e"]);
    transport.close();
  });
});
