import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { suite, test } from "node:test";
import type { InjectOptions, LightMyRequestResponse } from "fastify";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Echo } from "../../support/echo-service.ts";

const json = { "content-type": "application/json" };
const page = { origin: "https://page.example" };

/** A request to a path. */
type Call = Omit<InjectOptions, "url"> & { readonly url: string };

/** Requests of all kinds, and what no two servers answer alike in. */
const requests: readonly Call[] = [
  { url: "/test/v1/echo/a?number=7", headers: page },
  { url: "/test/v1/echo/a", method: "HEAD" },
  { url: "/test/v1/echo/a", method: "OPTIONS", headers: { ...page, "access-control-request-method": "GET" } },
  { url: "/test/v1/echo/a", method: "DELETE" },
  { url: "/test/v1/echo/a", headers: { accept: "application/proto" } },
  { url: "/test/v1/echo", method: "POST", headers: json, payload: '{"text":"ä"}' },
  { url: "/test/v1/echo", method: "POST", headers: json, payload: '{"text":1}' },
  { url: "/test/v1/echo", method: "POST", headers: { "content-type": "text/plain" }, payload: "{}" },
  { url: "/test/v1/echo", method: "POST", headers: json, payload: '{"behaviour":{"failure":{"code":16}}}' },
  { url: "/test/v1/repeat/x?count=2" },
  { url: "/test/v1/repeat/x?count=2", headers: { accept: "text/event-stream" } },
  { url: "/test/v1/repeat/x?count=2", headers: { accept: "application/json" } },
  { url: "/test/v1/collect", method: "POST", headers: json, payload: '[{"text":"a"},{"text":"b"}]' },
  {
    url: "/tsms.test.v1.EchoService/Echo",
    method: "POST",
    headers: { ...json, "connect-protocol-version": "1" },
    payload: '{"text":"x"}',
  },
  { url: "/livez" },
  { url: "/nowhere" },
  { url: `/${"long".repeat(3000)}` },
];

/** A gateway that is not started, over a server that is not either. */
function gateway(options: Partial<HttpServerOptions> = {}): { http: HttpServer; echo: Echo } {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false, defaultTimeoutMs: 0 }).addService(echo);
  const cors = { corsOrigins: [page.origin], defaultTimeoutMs: 0 };
  return { http: new HttpServer({ upstream: grpc, port: 0, ...cors, ...options }).addService(echo), echo };
}

/** What a started gateway answers to the same request, but for what belongs to its connection. */
async function overSocket(http: HttpServer, { method, url, headers, payload }: Call): Promise<object> {
  const call = request({
    ...{ method: method ?? "GET", path: url, headers: headers as Record<string, string> },
    ...{ port: http.address?.port, host: "127.0.0.1", agent: false },
  });
  call.end(payload);
  const [response] = (await once(call, "response")) as [IncomingMessage];
  const { date: _, connection: __, ...head } = response.headers;
  return { statusCode: response.statusCode, headers: head, body: await text(response) };
}

suite("rpcs by inject, before start()", () => {
  test("are answered as those that come by a socket", async () => {
    const { http } = gateway();
    const headers = { host: "a", "user-agent": "b" };
    const all = requests.map((call) => ({ ...call, headers: { ...headers, ...call.headers } }));
    const injected: LightMyRequestResponse[] = [];
    for (const call of all) injected.push(await http.fastify.inject(call));
    assert.equal(http.state, "init");
    await http.start();
    try {
      for (const [index, call] of all.entries()) {
        const title = `${call.method ?? "GET"} ${call.url.slice(0, 60)}`;
        const { statusCode, headers: head, body } = injected[index] ?? {};
        const { date: _, connection: __, "keep-alive": ___, ...own } = head ?? {};
        assert.deepEqual({ statusCode, headers: own, body }, await overSocket(http, call), title);
      }
    } finally {
      await http.gracefulStop({ graceMs: 0 });
    }
  });

  test("come behind routes, hooks and plugins of the user's own", async () => {
    const { http } = gateway();
    const { fastify } = http;
    void fastify.register(async (scope) => scope.get("/test/v1/echo/mine", () => ({ own: 1 })));
    const plugin = async (scope: typeof fastify): Promise<void> => {
      scope.addHook("onSend", async (_request, reply) => void reply.header("x-own", "1"));
    };
    void fastify.register(Object.assign(plugin, { [Symbol.for("skip-override")]: true }));
    assert.deepEqual((await fastify.inject("/test/v1/echo/mine")).json(), { own: 1 });
    const rpc = await fastify.inject("/test/v1/echo/yours");
    assert.equal(rpc.headers["x-own"], "1");
    assert.equal(rpc.json<{ text: string }>().text, "yours");
    await http.gracefulStop();
  });

  test("end when their client leaves", async () => {
    const { http, echo } = gateway();
    const leave = new AbortController();
    const call = http.fastify.inject({
      url: "/test/v1/echo/a?behaviour.sleepMs=60000",
      signal: leave.signal,
    });
    await echo.until(({ calls }) => calls === 1);
    leave.abort();
    await assert.rejects(async () => call);
    await echo.until(({ aborted }) => aborted === 1);
    await http.gracefulStop({ graceMs: 0 });
  });

  test("reject when rules or routes are wrong, which names them", async () => {
    const rules = [
      { file: "rules.yaml", text: "http:\n  rules:\n    - selector: no.such.Rpc\n      get: /x\n" },
    ];
    const { http } = gateway({ rules });
    await assert.rejects(async () => http.fastify.inject("/test/v1/echo/a"), /rules\.yaml.*no\.such\.Rpc/);
    await assert.rejects(http.start(), /rules\.yaml.*no\.such\.Rpc/);
  });
});
