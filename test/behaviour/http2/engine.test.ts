import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { ask, openSession } from "./http2-fixture.ts";

const own = "[HTTP] HTTP/2 is served by the engine of ts-ms";
const node = "[HTTP] HTTP/2 is served by node:http2: ";

async function gatewayOf(
  t: TestContext,
  options: Partial<HttpServerOptions>,
  before?: (http: HttpServer) => void,
): Promise<Gateway> {
  const gateway = await startGateway(options, [], before);
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  return gateway;
}

function lineOf({ http }: Gateway): string | undefined {
  return http.describe().find((line) => line.includes("HTTP/2 is served by"));
}

const addRoute = (http: HttpServer): void => void http.fastify.get("/own", () => "own");
const addHook = (http: HttpServer): void => void http.fastify.addHook("onRequest", async () => {});

for (const engine of ["own", "auto"] as const) {
  test(`engine ${engine} serves HTTP/2 by the engine of the package and says so`, async (t) => {
    const gateway = await gatewayOf(t, { engine });
    assert.equal(lineOf(gateway), own);
    const reply = await ask(openSession(t, gateway.url), { ":path": "/test/v1/echo/a" });
    assert.equal(reply.status, 200);
    assert.match(reply.body, /"text":"a"/);
    assert.match(String(reply.headers["date"]), / GMT$/);
  });
}

test("engine node is the default and no choice to report", async (t) => {
  assert.equal(lineOf(await gatewayOf(t, { engine: "node" })), undefined);
  assert.equal(lineOf(await gatewayOf(t, { engine: "node" }, addHook)), undefined);
});

test("engine auto leaves HTTP/2 to Node where requests may pass through Fastify or gRPC is on the port", async (t) => {
  const routed = await gatewayOf(t, { engine: "auto" }, addRoute);
  assert.equal(lineOf(routed), `${node}only requests for routes of your own pass through Fastify: /own`);
  const reply = await ask(openSession(t, routed.url), { ":path": "/own" });
  assert.deepEqual([reply.status, reply.body], [200, "own"]);
  const hooked = await gatewayOf(t, { engine: "auto" }, addHook);
  assert.match(lineOf(hooked) ?? "", /node:http2: every request passes through Fastify: .* hook onRequest/);
  const grpc = new GrpcServer({ listen: false });
  const shared = await gatewayOf(t, { engine: "auto", grpc });
  assert.match(lineOf(shared) ?? "", /node:http2: the option `grpc`/);
});

test("engine own does not start where it cannot serve, and says why", async () => {
  const grpc = new GrpcServer({ listen: false });
  await assert.rejects(startGateway({ engine: "own" }, [], addHook), /`engine: "own"`.*hook onRequest/);
  await assert.rejects(startGateway({ engine: "own", grpc }), /`engine: "own"`.*the option `grpc`/);
});
