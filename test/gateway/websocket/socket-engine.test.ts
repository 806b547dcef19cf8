import assert from "node:assert/strict";
import { test } from "node:test";
import { SocketEngine } from "../../../src/gateway/websocket/socket-engine.ts";
import { webSocketDefaults } from "../../../src/gateway/websocket/websocket-options.ts";
import { exchangeBytes, startGateway, statusOf } from "../gateway-fixture.ts";
import { frame, handshake, opcode, RawSocket, SocketClient, within } from "./socket-client.ts";

test("the gateway's own engine knows nothing of the plugin, and has one listener for upgrades", async () => {
  await using gateway = await startGateway();
  const { fastify } = gateway.http;
  assert.equal(fastify.hasRequestDecorator("ws"), false);
  assert.equal(fastify.hasDecorator("websocketServer"), false);
  assert.equal(fastify.server.listenerCount("upgrade"), 1);
});

test("hooks of the user's own run once for a handshake, and before the 101", async () => {
  const seen: string[] = [];
  await using gateway = await startGateway({}, [], ({ fastify }) => {
    fastify.addHook("onRequest", async (request) => void seen.push(`onRequest ${request.url}`));
    fastify.addHook("preHandler", async (request, reply) => {
      if (request.headers.authorization === undefined) await reply.code(401).send("who?");
    });
  });
  const refused = await exchangeBytes(gateway.port, handshake("/test/v1/chat?a=1"));
  assert.equal(statusOf(refused), 401);
  const url = `ws://127.0.0.1:${gateway.port}/test/v1/chat?a=2`;
  const client = await new SocketClient(url, [], { headers: { authorization: "me" } }).open();
  client.send('{"text":"in"}', "");
  assert.equal((await client.json())["text"], "in");
  assert.equal((await client.end()).code, 1000);
  assert.deepEqual(seen, ["onRequest /test/v1/chat?a=1", "onRequest /test/v1/chat?a=2"]);
});

for (const [what, path] of [
  ["is longer than the engine's parameters may be", `/test/v1/repeat/${"x".repeat(2000)}?count=1`],
  ["has escapes", "/test/v1/repeat/a%2Fb%20c?count=%31"],
  ["has a query that is no query", "/test/v1/chat?%=&&%zz"],
] as const) {
  test(`a target that ${what} is only read by the gateway`, async () => {
    await using gateway = await startGateway();
    const raw = await RawSocket.open(gateway.port, path, frame(opcode.text));
    assert.equal(await raw.closeCode(), 1000);
    raw.socket.destroy();
  });
}

test("extensions that are malformed are 400 where compression is on, ignored where it is off", async () => {
  const head = "Sec-WebSocket-Extensions: permessage-deflate; ;\r\n";
  await using compressing = await startGateway({ socketCompression: true });
  const refused = await exchangeBytes(compressing.port, handshake("/test/v1/chat", head));
  assert.equal(statusOf(refused), 400);
  await compressing.stillServes();
  await using gateway = await startGateway();
  const answer = await exchangeBytes(gateway.port, handshake("/test/v1/chat", head), (text) =>
    text.includes("\r\n\r\n"),
  );
  assert.equal(statusOf(answer), 101);
});

test("sockets that are broken say why before the connection ends", async () => {
  await using gateway = await startGateway();
  const raw = await RawSocket.open(
    gateway.port,
    "/test/v1/chat",
    frame(opcode.text, "{}", { masked: false }),
  );
  assert.equal(await raw.closeCode(), 1002);
  await within(raw.gone, "the end of the connection");
});

test("an engine that was never used closes", async () => {
  const engine = new SocketEngine(webSocketDefaults);
  await within(engine.close(), "the end");
});
