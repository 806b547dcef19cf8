import assert from "node:assert/strict";
import { test } from "node:test";
import { SocketEngine } from "../../../src/gateway/fastify/socket-engine.ts";
import { webSocketDefaults } from "../../../src/gateway/doors/options/websocket-options.ts";
import { createCertificate } from "../../support/certificates.ts";
import { exchangeBytes, startGateway, statusOf } from "../../support/gateway-fixture.ts";
import {
  frame,
  handshake,
  opcode,
  RawSocket,
  SocketClient,
  within,
} from "../../behaviour/websocket/socket-client.ts";

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

test("sockets over TLS: calls, and a reader that stalls", async () => {
  const { cert, key } = createCertificate({ name: "localhost", hosts: ["127.0.0.1"] });
  await using gateway = await startGateway({ tls: { cert, key } });
  const base = `wss://127.0.0.1:${gateway.port}`;
  const chat = await new SocketClient(`${base}/test/v1/chat`, [], { ca: cert }).open();
  chat.send('{"text":"a"}', '{"text":"b"}', "");
  assert.deepEqual([(await chat.json())["text"], (await chat.json())["text"]], ["a", "b"]);
  assert.equal((await chat.end()).code, 1000);
  const path = "/tsms.test.v1.EchoService/Repeat";
  const stalled = await new SocketClient(`${base}${path}`, [], { ca: cert }).open();
  stalled.send(JSON.stringify({ count: 300, payload: Buffer.alloc(40_000).toString("base64") }));
  await stalled.next();
  stalled.ws.pause();
  const other = await new SocketClient(`${base}/test/v1/chat`, [], { ca: cert }).open();
  for (let turn = 0; turn < 100; turn++) {
    other.send("{}");
    await other.next();
  }
  assert.ok(gateway.echo.produced < 300, `${gateway.echo.produced} messages for a reader that does not read`);
  stalled.ws.resume();
  for (let index = 1; index < 300; index++) assert.equal((await stalled.json())["index"], index);
  assert.equal((await stalled.end()).code, 1000);
  other.ws.close();
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

test("first handshakes that come together are all answered; a stop meanwhile leaves none of them open", async () => {
  await using gateway = await startGateway();
  const answers = Array.from({ length: 5 }, () =>
    exchangeBytes(gateway.port, handshake("/test/v1/chat"), (text) => text.includes("\r\n\r\n")),
  );
  for (const answer of await Promise.all(answers)) assert.equal(statusOf(answer), 101);

  const stopping = await startGateway();
  const seen = Promise.withResolvers<void>();
  stopping.http.fastify.server.once("upgrade", () => seen.resolve());
  const late = exchangeBytes(stopping.port, handshake("/test/v1/chat"));
  await seen.promise;
  await within(stopping.http.gracefulStop({ graceMs: 0 }), "the stop");
  const answer = await late; // Until the connection is closed.
  assert.ok(answer === "" || [101, 503].includes(statusOf(answer)), answer);
});
