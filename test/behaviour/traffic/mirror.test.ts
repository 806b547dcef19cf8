import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { createConnectTransport } from "@connectrpc/connect-node";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { toInvoker } from "../../../src/core/call/transport.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { mirror, type MirrorOptions } from "../../../src/core/traffic/mirror.ts";
import type { Outcome } from "../../../src/core/traffic/outcome.ts";
import { parseTimeout } from "../../../src/core/wire/grpc-timeout.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { all, each, failure } from "../../support/failure.ts";
import { callsOf, counts, eventually, numbers, upstreams } from "./traffic-fixture.ts";

const everything: Partial<MirrorOptions> = { methods: "*" };

describe("mirror", () => {
  for (const network of [true, false]) {
    for (const shadowNetwork of [true, false]) {
      const ways = [network, shadowNetwork].map((is) => (is ? "over the network" : "in process"));
      test(`copies calls of every kind, ${ways[0]}, to a shadow ${ways[1]}`, async (t) => {
        const [primary] = await upstreams(t, 1, network);
        const [shadow] = await upstreams(t, 1, shadowNetwork);
        assert.ok(primary !== undefined && shadow !== undefined);
        const name = ways.join();
        const transport = mirror(primary.transport, shadow.transport, { ...everything, name });
        assert.equal(toInvoker(transport).unaryBytes !== undefined, network);
        const client = createClient(EchoService, transport);
        assert.equal((await client.echo({ text: "a", number: 7n })).text, "a");
        await failure(client.echo({ behaviour: { failure: { code: Code.NotFound } } }), Code.NotFound);
        assert.equal((await all(client.repeat({ text: "b", count: 300 }))).length, 300);
        assert.equal((await client.collect(each({ text: "c" }, { text: "d" }))).count, 2);
        assert.equal((await all(client.chat(each({ text: "e" }, { text: "f" })))).length, 2);
        await eventually(() => Object.values(counts("mirrors", name)).reduce((a, b) => a + b, 0) === 5);
        assert.equal(shadow.echo.calls, 5);
        assert.equal(shadow.echo.received, 4);
        // The echo tells headers, of which the copy has one more, so the first is different.
        assert.deepEqual(counts("mirrors", name), { equal: 4, different: 1 });
      });
    }
  }

  test("copies requests that come over HTTP as bytes, and only those without side effects", async (t) => {
    const all = await upstreams(t, 2);
    const [primary, shadow] = all;
    assert.ok(primary !== undefined && shadow !== undefined);
    const upstream = mirror(primary.transport, shadow.transport, { name: "http" });
    const http = new HttpServer({ upstream, port: 0, logger: false }).addService(EchoService);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    const url = `http://127.0.0.1:${http.address?.port}/test/v1`;
    await (await fetch(`${url}/echo/a`)).text();
    await (await fetch(`${url}/repeat/a?count=3`)).text();
    await eventually(() => counts("mirrors", "http")["equal"] === 1);
    assert.deepEqual(callsOf(all), [2, 1], "Echo is a POST first");
  });

  test("the share is by chance, and 0 copies nothing", async (t) => {
    const all = await upstreams(t, 2);
    const [primary, shadow] = all;
    assert.ok(primary !== undefined && shadow !== undefined);
    const quarter = { ...everything, percent: 25, random: numbers(0.2499, 0.25, 0.5, 0.9) };
    const client = createClient(EchoService, mirror(primary.transport, shadow.transport, quarter));
    for (let call = 0; call < 8; call++) await client.echo({});
    await eventually(() => shadow.echo.calls === 2);
    const none = mirror(primary.transport, shadow.transport, { ...everything, percent: 0 });
    await createClient(EchoService, none).echo({});
    assert.deepEqual(callsOf(all), [9, 2]);
  });

  test("a copy has its own authority, header and deadline, and the caller's metadata", async (t) => {
    const [primary] = await upstreams(t, 1);
    assert.ok(primary !== undefined);
    const heads: IncomingHttpHeaders[] = [];
    const server = createServer().on("stream", (stream: ServerHttp2Stream, headers) => {
      heads.push(headers);
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" },
        { endStream: true },
      );
    });
    await once(server.listen(0), "listening");
    t.after(() => server.close());
    const { port: raw } = server.address() as AddressInfo; // Listens on TCP.
    const shadow = dial(`localhost:${raw}`);
    t.after(() => shadow.close());
    const client = createClient(
      EchoService,
      mirror(primary.transport, shadow, { ...everything, name: "head" }),
    );
    const reply = await client.echo({}, { headers: { "x-own": "a" }, timeoutMs: 5_000 });
    assert.equal(reply.headers["x-own"], "a");
    assert.equal(reply.headers["x-ts-ms-shadow"], undefined);
    await client.echo({});
    await eventually(() => (counts("mirrors", "head")["failed"] ?? 0) === 2);
    const [first] = heads;
    assert.equal(first?.[":authority"], `localhost-shadow:${raw}`);
    assert.equal(first["x-ts-ms-shadow"], "1");
    assert.equal(first["x-own"], "a");
    // The caller's, and the default one.
    const [own = 0, other = 0] = heads.map((head) => parseTimeout(String(head["grpc-timeout"])));
    assert.ok(own > 0 && own <= 5_000, `${own}`);
    assert.ok(other > 10_000 && other <= 30_000, `${other}`);
    // The same connection is used for calls that are no copies.
    await failure(createClient(EchoService, shadow).echo({}), Code.NotFound);
    assert.equal(heads[2]?.[":authority"], `localhost:${raw}`);
  });

  test("a copy is never tried again", async (t) => {
    const [primary, shadow] = await upstreams(t, 2);
    assert.ok(primary !== undefined && shadow !== undefined);
    const policies = [
      { selector: "*", retry: { maxAttempts: 5, initialBackoffMs: 1 }, idempotency: "IDEMPOTENT" },
    ] as const;
    const copies = dial([shadow.address], { policies });
    t.after(() => copies.close());
    const options = { ...everything, name: "once" };
    const client = createClient(EchoService, mirror(primary.transport, copies, options));
    const behaviour = { failure: { code: Code.Unavailable } };
    await failure(client.echo({ behaviour }), Code.Unavailable);
    await eventually(() => counts("mirrors", "once")["equal"] === 1);
    assert.equal(shadow.echo.calls, 1);
    await failure(createClient(EchoService, copies).echo({ behaviour }), Code.Unavailable);
    assert.equal(shadow.echo.calls, 6, "other calls are");
  });

  test("K16 a shadow that hangs or refuses costs the caller nothing, and what is too much is dropped", async (t) => {
    const [primary] = await upstreams(t, 1);
    const [hanging] = await upstreams(t, 1, true, (echo) => (echo.echo = () => new Promise(() => {})));
    assert.ok(primary !== undefined && hanging !== undefined);
    const refusing = dial("127.0.0.1:1");
    t.after(() => refusing.close());
    for (const [name, shadow] of [
      ["hangs", hanging.transport],
      ["refuses", refusing],
    ] as const) {
      const options = { ...everything, name, maxInFlight: 3 };
      const client = createClient(EchoService, mirror(primary.transport, shadow, options));
      for (let call = 0; call < 10; call++) await client.echo({ text: "a" }, { timeoutMs: 60_000 });
    }
    assert.deepEqual(counts("mirrors", "hangs"), { dropped: 7 });
    await eventually(() => counts("mirrors", "refuses")["failed"] === 10);
    const options = { ...everything, name: "large", bufferBytes: 1_000 };
    const client = createClient(EchoService, mirror(primary.transport, hanging.transport, options));
    await client.echo({ text: "x".repeat(600) });
    await client.echo({ text: "x".repeat(600) });
    await client.echo({ text: "x".repeat(2_000) });
    assert.deepEqual(counts("mirrors", "large"), { dropped: 2 });
  });

  test("K16 a shadow that answers 50 MiB is read and forgotten", async (t) => {
    const payload = new Uint8Array(1 << 20);
    const [primary] = await upstreams(t, 1);
    const [large] = await upstreams(t, 1, true, (echo) => {
      echo.repeat = async function* () {
        for (let index = 0; index < 50; index++) yield { payload };
      };
    });
    assert.ok(primary !== undefined && large !== undefined);
    const options = { ...everything, name: "50 MiB" };
    const client = createClient(EchoService, mirror(primary.transport, large.transport, options));
    assert.equal((await all(client.repeat({ count: 3 }))).length, 3);
    await eventually(() => counts("mirrors", "50 MiB")["uncompared"] === 1);
  });

  test("a shadow that does not keep up with a stream of requests is cut off", async (t) => {
    let begun = false;
    let aborted = false;
    const [primary] = await upstreams(t, 1);
    const [slow] = await upstreams(t, 1, true, (echo) => {
      echo.collect = (_requests, context) =>
        new Promise((_, reject) => {
          begun = true;
          context.signal.addEventListener("abort", () => {
            aborted = true;
            reject(context.signal.reason as Error);
          });
        });
    });
    assert.ok(primary !== undefined && slow !== undefined);
    const options = { ...everything, name: "slow", bufferBytes: 100_000 };
    const client = createClient(EchoService, mirror(primary.transport, slow.transport, options));
    const payload = new Uint8Array(20_000);
    const reply = await client.collect(
      (async function* () {
        for (let index = 0; index < 1_000; index++) {
          yield { payload };
          if (index === 0) await eventually(() => begun);
        }
      })(),
    );
    assert.equal(reply.count, 1_000);
    await eventually(() => counts("mirrors", "slow")["cut"] === 1 && aborted);
  });

  test("a stream whose caller leaves ends its copy, and one whose callee reads nothing has none", async (t) => {
    const [primary, shadow] = await upstreams(t, 2);
    assert.ok(primary !== undefined && shadow !== undefined);
    const client = createClient(EchoService, mirror(primary.transport, shadow.transport, { name: "leaves" }));
    for await (const _ of client.repeat({ count: 1_000_000, intervalMs: 1 })) break;
    await eventually(() => counts("mirrors", "leaves")["cut"] === 1);
    await eventually(() => shadow.echo.aborted === shadow.echo.calls);
    const away = dial("127.0.0.1:1");
    t.after(() => away.close());
    const options = { name: "nothing", maxInFlight: 1, methods: "*" };
    const refused = createClient(EchoService, mirror(away, shadow.transport, options));
    for (let call = 0; call < 3; call++) await failure(all(refused.chat(each())), Code.Unavailable);
    const { dropped = 0 } = counts("mirrors", "nothing");
    assert.equal(dropped, 0, "each has given its place back");
  });

  test("a comparison of one's own gets codes and messages", async (t) => {
    const [primary, shadow] = await upstreams(t, 2);
    assert.ok(primary !== undefined && shadow !== undefined);
    const seen: (readonly [string, Outcome, Outcome])[] = [];
    let verdict: boolean | undefined;
    const warnings: Error[] = [];
    const compare: MirrorOptions["compare"] = (one, other, method) => {
      seen.push([method.name, one, other]);
      if (method.name === "Collect") throw new TypeError("a comparison that fails");
      return verdict;
    };
    const client = createClient(
      EchoService,
      mirror(primary.transport, shadow.transport, { ...everything, compare, name: "own" }),
    );
    process.once("warning", (warning) => warnings.push(warning));
    for (const [index, next] of [true, false, undefined].entries()) {
      verdict = next;
      await client.echo({ text: "a" });
      await eventually(() => seen.length === index + 1);
    }
    await failure(client.echo({ behaviour: { failure: { code: Code.Aborted } } }));
    await client.collect(each({ text: "x" }));
    await eventually(() => seen.length === 5 && warnings.length === 1);
    assert.deepEqual(counts("mirrors", "own"), { equal: 1, different: 1, compared: 3 });
    const [name, one, other] = seen[0] ?? [];
    assert.equal(name, "Echo");
    assert.deepEqual([one?.code, one?.messages.length, other?.messages.length], [undefined, 1, 1]);
    assert.deepEqual([seen[3]?.[1].code, seen[3]?.[2].code], [Code.Aborted, Code.Aborted]);
    assert.match(String(warnings[0]), /a comparison that fails/);
  });

  test("transports of other libraries can be copied, and copied to", async (t) => {
    const [primary, shadow] = await upstreams(t, 2);
    assert.ok(primary !== undefined && shadow !== undefined);
    const http = new HttpServer({ upstream: primary.transport, port: 0 }).addService(EchoService);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    const foreign = createConnectTransport({
      baseUrl: `http://127.0.0.1:${http.address?.port}`,
      httpVersion: "1.1",
    });
    const options = { ...everything, name: "foreign" };
    for (const transport of [
      mirror(foreign, shadow.transport, options),
      mirror(shadow.transport, foreign, options),
    ]) {
      const client = createClient(EchoService, transport);
      assert.equal((await client.echo({ text: "a" })).text, "a");
      assert.equal((await all(client.repeat({ text: "a", count: 2 }))).length, 2);
    }
    await eventually(() => primary.echo.calls === 4 && shadow.echo.calls === 4);
  });

  test("wrong options are refused by name", async () => {
    const server = new GrpcServer();
    const to = dial(server);
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ percent: -1 }, /mirror: percent must be a number from 0 to 100, not -1/],
      [{ maxInFlight: 0 }, /maxInFlight must be a whole number from 1, not 0/],
      [{ bufferBytes: 1.5 }, /bufferBytes must be a whole number from 1, not 1.5/],
      [{ compare: true }, /compare must be a function, not true/],
      [{ methods: "a b" }, /selector "a b"/],
      [{ persent: 1 }, /there is no option "persent"; did you mean percent\?/],
    ];
    for (const [options, text] of wrong) assert.throws(() => mirror(to, to, options), text);
    assert.throws(
      () => mirror(to, "shadow" as never),
      /mirror: the shadow must be a transport, not 'shadow'/,
    );
  });
});
