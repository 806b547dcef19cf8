import assert from "node:assert/strict";
import { once } from "node:events";
import type { Settings } from "node:http2";
import { test, type TestContext } from "node:test";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { ask, openSession } from "./http2-fixture.ts";

const node = "[HTTP] HTTP/2 is served by node:http2: ";

async function gatewayOf(
  t: TestContext,
  options: Partial<HttpServerOptions> = {},
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

/** Whether a gateway serves HTTP/2 by the engine of the package, which takes larger frames than Node does. */
async function isOwn(t: TestContext, { url }: Gateway): Promise<boolean> {
  const session = openSession(t, url);
  const [settings] = (await once(session, "remoteSettings")) as [Settings];
  return settings.maxFrameSize === 65_536;
}

for (const engine of ["own", "auto", undefined] as const) {
  test(`engine ${engine} serves HTTP/2 by the engine of the package`, async (t) => {
    const gateway = await gatewayOf(t, engine && { engine });
    assert.equal(lineOf(gateway), undefined);
    assert.ok(await isOwn(t, gateway));
    const reply = await ask(openSession(t, gateway.url), { ":path": "/test/v1/echo/a" });
    assert.equal(reply.status, 200);
    assert.match(reply.body, /"text":"a"/);
    assert.match(String(reply.headers["date"]), / GMT$/);
  });
}

test("engine node is served by Node and no choice to report", async (t) => {
  const gateway = await gatewayOf(t, { engine: "node" });
  assert.equal(lineOf(gateway), undefined);
  assert.ok(!(await isOwn(t, gateway)));
  assert.equal(lineOf(await gatewayOf(t, { engine: "node" }, addHook)), undefined);
});

test("engine auto leaves HTTP/2 to Node where requests may pass through Fastify, and says so", async (t) => {
  const routed = await gatewayOf(t, { engine: "auto" }, addRoute);
  assert.equal(lineOf(routed), `${node}only requests for routes of your own pass through Fastify: /own`);
  const reply = await ask(openSession(t, routed.url), { ":path": "/own" });
  assert.deepEqual([reply.status, reply.body], [200, "own"]);
  const hooked = await gatewayOf(t, { engine: "auto" }, addHook);
  assert.match(lineOf(hooked) ?? "", /node:http2: every request passes through Fastify: .* hook onRequest/);
  assert.ok(!(await isOwn(t, hooked)));
});

test("engine auto serves gRPC on the port by the engine of the package, too", async (t) => {
  const grpc = new GrpcServer({ listen: false });
  const shared = await gatewayOf(t, { grpc });
  assert.equal(lineOf(shared), undefined);
  assert.ok(await isOwn(t, shared));
});

test("engine own does not start where it cannot serve, and says why", async () => {
  await assert.rejects(startGateway({ engine: "own" }, [], addHook), /`engine: "own"`.*hook onRequest/);
  await assert.rejects(
    startGateway({ engine: "own" }, [], addRoute),
    /`engine: "own"`.*routes of your own.*\/own/,
  );
});
