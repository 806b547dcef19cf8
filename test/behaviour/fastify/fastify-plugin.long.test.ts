import assert from "node:assert/strict";
import { connect, type AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { fastify, type FastifyInstance } from "fastify";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { RpcPluginOptions } from "../../../src/gateway/fastify/fastify-plugin.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { exchangeBytes } from "../../support/gateway-fixture.ts";

/** A team's app with the rpcs as a plugin. */
interface App extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly http: HttpServer;
  readonly echo: Echo;
  readonly port: number;
  readonly url: string;
}

interface AppInit {
  readonly plugin?: RpcPluginOptions;
  readonly options?: Partial<HttpServerOptions>;
  /** What the app has before the plugin, and behind it. */
  readonly before?: (app: FastifyInstance) => void;
  readonly behind?: (app: FastifyInstance) => void;
}

async function startApp({ plugin, options, before, behind }: AppInit = {}): Promise<App> {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false }).addService(echo);
  const http = new HttpServer({ upstream: grpc, ...options }).addService(echo);
  const app = fastify();
  before?.(app);
  await app.register(http.plugin, plugin ?? {});
  behind?.(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo; // It listens on TCP.
  const dispose = (): Promise<void> => app.close();
  return { app, http, echo, port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: dispose };
}

async function getText(url: string, headers: Record<string, string> = {}): Promise<string> {
  return (await fetch(url, { headers })).text();
}

suite("an app with the rpcs as a plugin", () => {
  test("serves REST, streams both ways, events and long polling", async () => {
    await using app = await startApp();
    const echo = JSON.parse(await getText(`${app.url}/test/v1/echo/a?number=9007199254740993`)) as object;
    assert.equal(Object.entries(echo).find(([name]) => name === "number")?.[1], "9007199254740993");
    const lines = await getText(`${app.url}/test/v1/repeat/x?count=2`);
    assert.equal(lines, '{"text":"x","payload":"","index":0}\n{"text":"x","payload":"","index":1}\n');
    const events = await getText(`${app.url}/test/v1/repeat/x?count=1`, { accept: "text/event-stream" });
    assert.match(events, /^: open\n\nid: 1\ndata: \{"text":"x",.*\n\nevent: end\n/);
    const poll = await getText(`${app.url}/test/v1/repeat/x?count=1`, { prefer: "wait=1" });
    assert.match(poll, /"text":"x"/);
    const collected = await fetch(`${app.url}/test/v1/collect`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: '{"text":"a"}\n{"text":"b"}\n',
    });
    assert.deepEqual(await collected.json(), { texts: ["a", "b"], count: 2, payloadBytes: "0" });
  });

  test("serves errors as the gateway writes them", async () => {
    await using app = await startApp();
    const bad = await fetch(`${app.url}/test/v1/echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"number":"x"}',
    });
    assert.equal(bad.status, 400);
    assert.equal(((await bad.json()) as { code: number }).code, 3);
    const other = await fetch(`${app.url}/test/v1/echo/a`, { method: "DELETE" });
    assert.equal(other.status, 405);
    assert.equal(other.headers.get("allow"), "GET, HEAD, OPTIONS");
  });

  for (const [name, createTransport] of [
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ] as const) {
    test(`serves ${name}, below a prefix too`, async () => {
      for (const prefix of ["", "/api/v2"]) {
        await using app = await startApp({ plugin: { prefix } });
        const transport = createTransport({ baseUrl: app.url + prefix, httpVersion: "1.1" });
        const client = createClient(EchoService, transport);
        assert.equal((await client.echo({ text: "hi" })).text, "hi");
        const indexes: number[] = [];
        for await (const { index } of client.repeat({ text: "x", count: 3 })) indexes.push(index);
        assert.deepEqual(indexes, [0, 1, 2]);
        await assert.rejects(client.echo({ behaviour: { failure: { code: 5, message: "gone" } } }), {
          code: 5,
          rawMessage: "gone",
        });
      }
    });
  }

  test("has the rpcs below its prefix alone", async () => {
    await using app = await startApp({ plugin: { prefix: "/api" } });
    assert.match(await getText(`${app.url}/api/test/v1/echo/a`), /"text":"a"/);
    assert.match(await getText(`${app.url}/api/livez`), /"SERVING"/);
    assert.match(await getText(`${app.url}/test/v1/echo/a`), /Route GET:\/test\/v1\/echo\/a not found/);
    assert.deepEqual(app.http.describe().slice(0, 2), [
      "[HTTP] a plugin of an app, at /api/",
      "[HTTP] POST /test/v1/echo → tsms.test.v1.EchoService/Echo",
    ]);
  });

  test("keeps its own routes, its 404 and its answers to OPTIONS", async () => {
    await using app = await startApp({
      before: (own) => {
        own.get("/test/v1/echo/mine", () => ({ own: 1 }));
        own.setNotFoundHandler((request, reply) => reply.code(404).send({ nothingAt: request.url }));
        own.options("*", (_request, reply) => reply.code(204).header("x-own", "1").send());
      },
      behind: (own) => own.get("/test/v1/:rpc/late", () => ({ own: 2 })),
      plugin: { prefix: "" },
    });
    assert.equal(await getText(`${app.url}/test/v1/echo/mine`), '{"own":1}');
    assert.equal(await getText(`${app.url}/test/v1/echo/late`), '{"own":2}');
    assert.match(await getText(`${app.url}/test/v1/echo/a`), /"text":"a"/);
    assert.equal(await getText(`${app.url}/nowhere?x=1`), '{"nothingAt":"/nowhere?x=1"}');
    const preflight = await fetch(`${app.url}/test/v1/echo/a`, { method: "OPTIONS" });
    assert.equal(preflight.headers.get("x-own"), "1");
  });

  test("guards the rpcs by its hooks, whose refusals look like those of rpcs", async () => {
    await using app = await startApp({
      before: (own) => {
        own.addHook("preHandler", async ({ headers }) => {
          if (headers.authorization === undefined)
            throw Object.assign(new Error("who?"), { statusCode: 401 });
        });
        own.addHook("onRequest", async (_request, reply) => void reply.header("x-own", "1"));
      },
    });
    const refused = await fetch(`${app.url}/test/v1/echo/a`);
    assert.equal(refused.status, 401);
    assert.deepEqual(await refused.json(), { code: 16, message: "who?", details: [] });
    assert.equal(app.echo.calls, 0);
    const headers = { authorization: "Bearer t" };
    for (const path of ["echo/a", "repeat/x?count=1"]) {
      const good = await fetch(`${app.url}/test/v1/${path}`, { headers });
      assert.equal(good.status, 200);
      assert.equal(good.headers.get("x-own"), "1");
      await good.arrayBuffer();
    }
  });

  test("may read bodies in ways of its own", async () => {
    await using app = await startApp({
      before: (own) => {
        own.addContentTypeParser("application/x-own", { parseAs: "string" }, (_request, _body, done) =>
          done(null, 7),
        );
        own.post("/own", ({ body }) => ({ body }));
      },
    });
    const post = async (path: string, type: string, body: string): Promise<unknown> =>
      (await fetch(app.url + path, { method: "POST", headers: { "content-type": type }, body })).json();
    assert.deepEqual(await post("/own", "application/json", '{"a":1}'), { body: { a: 1 } });
    assert.deepEqual(await post("/own", "application/x-own", "x"), { body: 7 });
    const echo = (await post("/test/v1/echo", "application/json", '{"text":"ä"}')) as { text: string };
    assert.equal(echo.text, "ä");
  });

  test("answers for health, other origins and observers as the gateway's own port does", async () => {
    const seen = Promise.withResolvers<unknown[]>();
    await using app = await startApp({
      options: {
        corsOrigins: ["https://page.example"],
        httpObservers: [{ httpRequest: (route, method, status) => seen.resolve([route, method, status]) }],
      },
    });
    const origin = "https://page.example";
    const echo = await fetch(`${app.url}/test/v1/echo/a`, { headers: { origin } });
    assert.equal(echo.headers.get("access-control-allow-origin"), origin);
    assert.deepEqual(await seen.promise, ["/test/v1/echo/{text}", "GET", 200]);
    const preflight = await fetch(`${app.url}/test/v1/echo/a`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "GET" },
    });
    assert.equal(preflight.headers.get("access-control-allow-methods"), "GET, HEAD, OPTIONS");
    assert.equal(await getText(`${app.url}/readyz`), '{"status":"SERVING"}');
  });

  test("ends the call of a client that leaves", async () => {
    await using app = await startApp();
    for (const path of ["echo/a?behaviour.sleepMs=60000", "repeat/x?count=9&intervalMs=60000"]) {
      const { calls, aborted } = app.echo;
      const socket = connect(app.port, "127.0.0.1");
      socket.write(`GET /test/v1/${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await app.echo.until((echo) => echo.calls === calls + 1);
      socket.destroy();
      await app.echo.until((echo) => echo.aborted === aborted + 1);
    }
  });

  test("closes when event streams were asked to end and calls have come to their own", async () => {
    await using app = await startApp();
    const events = fetch(`${app.url}/test/v1/repeat/x?count=9&intervalMs=60000`, {
      headers: { accept: "text/event-stream" },
    });
    const slow = fetch(`${app.url}/test/v1/echo/slow?behaviour.sleepMs=300`);
    await app.echo.until(({ calls }) => calls === 2);
    const began = performance.now();
    const [, stream, reply] = await Promise.all([
      app.app.close(),
      events.then((response) => response.text()),
      slow.then((response) => response.json() as Promise<{ text: string }>),
    ]);
    assert.ok(performance.now() - began < 10_000);
    assert.match(stream, /retry: /);
    assert.equal(reply.text, "slow");
    assert.equal(app.http.state, "stop");
  });

  test("says that WebSockets are not served there", async () => {
    await using app = await startApp();
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    const answer = await exchangeBytes(
      app.port,
      `GET /test/v1/repeat/x HTTP/1.1\r\nHost: a\r\n${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      (text) => text.endsWith("}"),
    );
    assert.match(answer, /^HTTP\/1\.1 501 [^]*"WebSockets are served on a port of the gateway's own only"/);
    assert.equal(app.echo.calls, 0);
  });
});

suite("what an app cannot be is said when the plugin is registered", () => {
  const plugin = (): HttpServer["plugin"] => new HttpServer({ upstream: "127.0.0.1:1" }).plugin;
  const files = (app: FastifyInstance): void => void app.get("/*", () => "a file");

  test("one that has a route for everything; paths or a prefix cure it", async () => {
    const app = fastify();
    files(app);
    await assert.rejects(async () => app.register(plugin()), {
      message:
        'the rpcs cannot have /*, the app has a route GET /* itself: give the plugin a prefix, or paths such as ["/v1/*"]',
    });
    await app.close();
    await using cured = await startApp({ before: files, plugin: { paths: ["/test/v1/*"] } });
    assert.equal(await getText(`${cured.url}/index.html`), "a file");
    assert.match(await getText(`${cured.url}/test/v1/echo/a`), /"text":"a"/);
  });

  test("one that speaks HTTP/2", async () => {
    const app = fastify({ http2: true });
    await assert.rejects(async () => app.register(plugin()), {
      message:
        /^the plugin of an HttpServer needs a Fastify that speaks HTTP\/1\.1: leave its option http2 out/,
    });
    await app.close();
  });

  test("a prefix that is a pattern, given or the app's own", async () => {
    const app = fastify();
    await assert.rejects(
      async () => app.register(plugin(), { prefix: "/:tenant" }),
      /must be a path such as/,
    );
    await app.close();
  });

  test("a second app, and a start beside it", async () => {
    const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0 });
    const app = fastify();
    await app.register(http.plugin);
    await assert.rejects(async () => fastify().register(http.plugin), /plugin of an app already/);
    await assert.rejects(http.start(), {
      message: "HTTP cannot start: it is a plugin of an app, which listens for it",
    });
    await app.close();
    assert.equal(http.state, "stop");
  });
});
