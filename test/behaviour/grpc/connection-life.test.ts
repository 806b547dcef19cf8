import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { GrpcAdmission } from "../../../../src/core/grpc/server/grpc-admission.ts";
import { grpcServerDefaults } from "../../../../src/core/grpc-server.ts";
import { flag, frameType, hpack, http2Frame, RawHttp2 } from "../../../support/http2-frames.ts";
import { echoFrame, post, running, session, within } from "../../../support/running-grpc.ts";

test("admission finds the one HTTP/2 server inside this version of grpc-js", () => {
  const engine = new Server();
  const guard = new GrpcAdmission(engine, grpcServerDefaults, () => true);
  assert.equal(guard.current, undefined);
  engine.forceShutdown();
});

test("admission refuses an engine whose HTTP/2 server it cannot tell", () => {
  const engine = new Server();
  engine.createConnectionInjector(ServerCredentials.createInsecure());
  assert.throws(
    () => new GrpcAdmission(engine, grpcServerDefaults, () => true),
    /where admission cannot find it/,
  );
  engine.forceShutdown();
});

test("handlers that were registered on the engine itself are served behind the guard", async (t) => {
  const server = await running(t);
  const pass = (bytes: Buffer): Buffer => bytes;
  server.server.engine.register(
    "/own.Service/Method",
    (_call: unknown, reply: (error: null, bytes: Buffer) => void) => reply(null, Buffer.from("own")),
    pass,
    pass,
    "unary",
  );
  const http2 = session(t, server);
  const reply = await post(http2, { ":path": "/own.Service/Method" }, [echoFrame({})]);
  assert.equal(reply.status, 0);
  assert.equal(reply.body.subarray(5).toString(), "own");
  server.server.engine.register("/own.Service/Silent", () => {}, pass, pass, "unary");
  const late = await post(http2, { ":path": "/own.Service/Silent", "grpc-timeout": "50m" }, [echoFrame({})]);
  assert.equal(late.status, 4, "grpc-js keeps the deadlines of its own handlers");
  const refused = await post(http2, { ":path": "/own.Service/Method", "grpc-timeout": "x" }, [echoFrame({})]);
  assert.equal(refused.status, 13);
});

test("old connections are asked to go", async (t) => {
  const http2 = session(t, await running(t, { maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 100 }));
  const [code] = (await within(10_000, "the GOAWAY", once(http2, "goaway"))) as [number];
  assert.equal(code, 0);
});

test("idle connections are closed when asked for", async (t) => {
  const http2 = session(t, await running(t, { maxConnectionIdleMs: 100 }));
  await within(10_000, "the close", once(http2, "close"));
});

test("clients that answer no pings are dropped and their calls aborted", async (t) => {
  const server = await running(t, { keepaliveTimeMs: 50, keepaliveTimeoutMs: 100 });
  const mute = await RawHttp2.open(server.host, server.port); // It answers nothing by itself.
  t.after(() => mute.destroy());
  const fields = hpack([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/tsms.test.v1.EchoService/Collect"],
    [":authority", "test"],
    ["content-type", "application/grpc"],
  ]);
  mute.send(http2Frame(frameType.headers, flag.endHeaders, 1, fields));
  mute.send(http2Frame(frameType.data, 0, 1, echoFrame({ text: "x" })));
  await within(
    10_000,
    "the call",
    server.echo.until(({ received }) => received === 1),
  );
  await mute.until("a ping", (seen) => seen.of(frameType.ping).length > 0);
  await within(
    10_000,
    "the abort",
    server.echo.until(({ aborted }) => aborted === 1),
  );
  await mute.until("the close", ({ closed }) => closed);
});
