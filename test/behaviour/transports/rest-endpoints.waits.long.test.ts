import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import type { DialOptions } from "../../../src/core/dial.ts";
import { Upstreams } from "../../../src/gateway/upstreams/upstreams.ts";
import { dial, GrpcServer, HttpServer } from "../../../src/index.ts";
import { createCertificate } from "../../support/certificates.ts";
import { failure } from "../../support/failure.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { KillableFront } from "../../support/killable-front.ts";
import { startScriptedHttp } from "../../support/scripted-http.ts";
import { dialSeveral, until } from "../../support/several-servers.ts";

/** Gateways, which are closed with the test, and a client that calls them by REST. */
async function restClient(t: TestContext, count = 1, options: Partial<DialOptions> = {}) {
  const gateways = await Promise.all(Array.from({ length: count }, () => startGateway()));
  const addresses = gateways.map(({ port }) => `127.0.0.1:${port}`);
  const set = dialSeveral(t, addresses, { protocol: "rest", ...options });
  for (const gateway of gateways) t.after(() => gateway[Symbol.asyncDispose]()); // After the client has left.
  return { gateways, ...set };
}

async function scriptedClient(t: TestContext, options: Partial<DialOptions> = {}) {
  const servers = await Promise.all([startScriptedHttp(), startScriptedHttp()] as const);
  const addresses = servers.map(({ url }) => url.slice("http://".length));
  const set = dialSeveral(t, addresses, { protocol: "rest", ...options });
  for (const server of servers) t.after(() => server[Symbol.asyncDispose]());
  return { servers, ...set };
}

async function* each<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

describe('protocol "rest"', () => {
  test("a call has reply, headers, deadline and metadata", async (t) => {
    const { client, transport } = await restClient(t, 1, { authority: "api.example.com" });
    let header: Headers | undefined;
    const reply = await client.echo(
      { text: "käse/😀", number: 9007199254740993n, behaviour: { headers: { "x-head": "1" } } },
      { timeoutMs: 20_000, headers: { authorization: "Bearer t" }, onHeader: (own) => (header = own) },
    );
    assert.equal(reply.text, "käse/😀");
    assert.equal(reply.number, 9007199254740993n);
    assert.equal(reply.protocol, "rest");
    assert.equal(reply.headers["authorization"], "Bearer t");
    assert.ok(reply.timeoutMs !== undefined && reply.timeoutMs > 0 && reply.timeoutMs <= 20_000);
    assert.equal(header?.get("x-head"), "1");
    const [endpoint] = transport.stats().endpoints;
    assert.equal(endpoint?.state, "ready");
    assert.equal(transport.stats().cluster?.calls, 1);
  });

  test("the request is that of the rpc's HTTP rule, for the authority", async (t) => {
    const { client, servers } = await scriptedClient(t, { authority: "api.example.com" });
    for (const server of servers) server.answer = (response) => response.end('{"text":"there"}');
    assert.equal((await client.echo({ text: "a" })).text, "there");
    const [request] = servers.flatMap(({ requests }) => requests);
    assert.equal(request?.head.method, "POST");
    assert.equal(request?.head.url, "/test/v1/echo");
    assert.equal(request?.head.headers.host, "api.example.com");
    assert.equal(request?.head.headers["content-type"], "application/json");
    assert.deepEqual(JSON.parse(request?.body ?? ""), { text: "a" });
    assert.deepEqual(
      Object.keys(request?.head.headers ?? {}).filter((name) => /^(?:te|grpc-.*encoding)$/.test(name)),
      [],
    );
  });

  test("streams of all kinds", async (t) => {
    const { client } = await restClient(t);
    const found: number[] = [];
    for await (const { index } of client.repeat({ text: "a b", count: 2_000 })) found.push(index);
    assert.equal(found.length, 2_000);
    assert.equal(found.at(-1), 1_999);
    const many = Array.from({ length: 300 }, (_, at) => ({
      text: String(at),
      payload: new Uint8Array(1_000),
    }));
    const { count, payloadBytes } = await client.collect(each(...many));
    assert.equal(count, 300);
    assert.equal(payloadBytes, 300_000n);
    const texts: string[] = [];
    for await (const { text } of client.chat(each({ text: "a" }, { text: "b" }))) texts.push(text);
    assert.deepEqual(texts, ["a", "b"]);
  });

  test("a caller that leaves a stream ends the call", async (t) => {
    const { client, gateways } = await restClient(t);
    for await (const { index } of client.repeat({ text: "x", count: 1_000_000, intervalMs: 1 }))
      if (index === 3) break;
    await gateways[0]?.echo.until(({ aborted }) => aborted === 1);
    await failure(client.echo({ behaviour: { sleepMs: 60_000 } }, { timeoutMs: 50 }), Code.DeadlineExceeded);
    assert.equal((await client.echo({ text: "still" })).text, "still");
  });

  test("errors have code, text, details and metadata, before and inside of streams", async (t) => {
    const { client } = await restClient(t);
    const wanted = { code: Code.Aborted, message: "no, käse", reasons: ["A"], metadata: { "x-m": "1" } };
    const error = await failure(client.echo({ behaviour: { failure: wanted } }), Code.Aborted);
    assert.equal(error.rawMessage, "no, käse");
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "A");
    assert.equal(error.metadata.get("x-m"), "1");
    const found: number[] = [];
    const late = async (): Promise<void> => {
      const failing = { failure: { ...wanted, after: 2 } };
      for await (const { index } of client.repeat({ text: "x", count: 5, behaviour: failing }))
        found.push(index);
    };
    await failure(late(), Code.Aborted);
    assert.deepEqual(found, [0, 1]);
    const early = client.collect(each({ behaviour: { failure: wanted } }));
    await failure(early, Code.Aborted);
  });

  test("calls are balanced, and one server that is killed costs no call that may be sent twice", async (t) => {
    const gateways = await Promise.all([1, 2, 3].map(() => startGateway()));
    const fronts = await Promise.all(gateways.map(({ port }) => new KillableFront(port).start()));
    t.after(() => Promise.all([...gateways, ...fronts].map((one) => one[Symbol.asyncDispose]())));
    const { client, transport } = dialSeveral(
      t,
      fronts.map(({ address }) => address),
      {
        protocol: "rest",
        balance: "round_robin",
        policies: [{ selector: "*", idempotency: "IDEMPOTENT" }],
      },
    );
    await transport.ready();
    await until(transport, () => transport.stats().endpoints.every(({ state }) => state === "ready"));
    for (let call = 0; call < 30; call++) await client.echo({});
    assert.deepEqual(
      gateways.map(({ echo }) => echo.calls),
      [10, 10, 10],
    );
    await fronts[0]?.kill();
    for (let call = 0; call < 30; call++) await client.echo({});
    await until(transport, () =>
      transport.stats().endpoints.some(({ state }) => state === "transient-failure"),
    );
    await fronts[0]?.start();
    await until(transport, () => transport.stats().endpoints.every(({ state }) => state === "ready"));
  });

  test("a request that found no connection is made elsewhere, also one that may not be sent twice", async (t) => {
    const { client, transport, servers } = await scriptedClient(t, { balance: "round_robin" });
    const [first, second] = servers;
    for (const server of servers) {
      server.answer = (response) => response.writeHead(200, { connection: "close" }).end("{}");
    }
    await transport.ready();
    await until(transport, () => transport.stats().endpoints.every(({ state }) => state === "ready"));
    for (let call = 0; call < 4; call++) await client.echo({});
    await first[Symbol.asyncDispose](); // Of its connections none is left, so that the client does not see it.
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.equal(second.requests.length, 12);
    assert.ok((transport.stats().cluster?.attempts.transparent ?? 0) >= 1);
  });

  test("Retry-After in seconds is the pause before the next attempt", async (t) => {
    const { client, servers } = await scriptedClient(t, {
      policies: [
        { selector: "*", idempotency: "IDEMPOTENT", retry: { maxAttempts: 2, initialBackoffMs: 1 } },
      ],
    });
    let refusals = 0;
    for (const server of servers) {
      server.answer = (response) => {
        if (refusals++ > 0) response.end('{"text":"late"}');
        else response.writeHead(503, { "retry-after": "1" }).end();
      };
    }
    const began = performance.now();
    assert.equal((await client.echo({})).text, "late");
    assert.ok(performance.now() - began >= 990);
  });

  test("Retry-After of more than 30 s, in seconds or as a date, is no further attempt", async (t) => {
    const { client, servers } = await scriptedClient(t, {
      policies: [{ selector: "*", idempotency: "IDEMPOTENT" }],
    });
    for (const value of ["31", new Date(Date.now() + 60_000).toUTCString()]) {
      for (const server of servers) {
        server.requests.length = 0;
        server.answer = (response) => response.writeHead(503, { "retry-after": value }).end();
      }
      const error = await failure(client.echo({}), Code.Unavailable);
      assert.equal(error.metadata.get("retry-after"), value);
      assert.equal(servers.flatMap(({ requests }) => requests).length, 1);
    }
  });

  test("over TLS the certificate is verified", async (t) => {
    const authority = createCertificate({ name: "ca" });
    const { cert, key } = createCertificate({ name: "rest.test", issuer: authority });
    const gateway = await startGateway({ tls: { cert, key } });
    t.after(() => gateway[Symbol.asyncDispose]());
    const target = `127.0.0.1:${gateway.port}`;
    const options = { protocol: "rest" } as const;
    const good = { ca: authority.cert, serverName: "rest.test" };
    const { client } = dialSeveral(t, target, { ...options, tls: good });
    assert.equal((await client.echo({ text: "secret" })).text, "secret");
    const { client: other } = dialSeveral(t, target, { ...options, tls: { ...good, serverName: "x.test" } });
    await failure(other.echo({}), Code.Unavailable);
  });

  test("health by HTTP takes a server out, and brings it back", async (t) => {
    const { transport, servers } = await scriptedClient(t, { health: { intervalMs: 20, failures: 1 } });
    const [first] = servers;
    let isReady = false;
    first.answer = (response) => response.writeHead(isReady ? 200 : 503).end("{}");
    await transport.ready();
    const healthOfFirst = (): string | undefined => transport.stats().endpoints[0]?.load?.health;
    await until(transport, () => healthOfFirst() === "not_serving");
    isReady = true;
    await until(transport, () => healthOfFirst() === "serving");
  });

  test("an upstream of a gateway that speaks REST is served over REST, Connect and gRPC", async (t) => {
    const behind = await startGateway();
    t.after(() => behind[Symbol.asyncDispose]());
    const target = `127.0.0.1:${behind.port}`;
    const upstreams = new Upstreams({ echo: { target, protocol: "rest", services: [EchoService] } });
    const grpc = new GrpcServer({ port: 0, logger: false });
    const http = new HttpServer({ port: 0, upstream: upstreams, awaitServices: true, logger: false });
    const served = upstreams.serve(http, grpc);
    await grpc.start();
    await http.start();
    t.after(async () => {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      await served;
    });
    await upstreams.ready();
    const url = `http://127.0.0.1:${http.address?.port}`;
    const { typeName } = EchoService;
    for (const path of ["/readyz", `/readyz?service=${typeName}`]) {
      assert.equal((await fetch(url + path)).status, 200, path);
    }
    const response = await fetch(`${url}/test/v1/repeat/a?count=2`);
    assert.deepEqual(
      (await response.text())
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { index: number }).index),
      [0, 1],
    );
    const { client } = dialSeveral(t, `127.0.0.1:${grpc.address?.port}`);
    assert.equal((await client.echo({ text: "both" })).text, "both");
    assert.throws(
      () => new Upstreams({ api: { target, protocol: "rest" } }),
      /"api" speaks rest, which has no reflection: give its contract, or services/,
    );
  });

  const wrong: readonly (readonly [Partial<DialOptions> | { protocol: string }, RegExp])[] = [
    [{ protocol: "soap" }, /the option protocol must be "grpc" or "rest", not 'soap'/],
    [{ protocol: "rest", compression: "gzip" }, /option compression is for gRPC/],
    [{ protocol: "rest", engine: "own" }, /option engine is for gRPC/],
    [{ protocol: "rest", health: { mode: "watch" } }, /health\.mode "watch" asks by gRPC/],
  ];
  for (const [options, text] of wrong) {
    test(`${JSON.stringify(options)} is refused`, () => {
      assert.throws(() => dial("localhost:1", options as Partial<DialOptions>), text); // Some are of no such type.
    });
  }
});
