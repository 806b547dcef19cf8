import assert from "node:assert/strict";
import { test } from "node:test";
import { readCommandLine } from "../../../../src/core/config/flags.ts";
import { httpFlags, httpOptions } from "../../../../src/gateway/flags/http-flags.ts";
import type { HttpServerOptions } from "../../../../src/gateway/http-server-options.ts";
import {
  webSocketDefaults,
  type WebSocketOptions,
} from "../../../../src/gateway/doors/options/websocket-options.ts";
import { exchangeBytes, startGateway, statusOf } from "../../../support/gateway-fixture.ts";
import {
  frame,
  handshake,
  opcode,
  RawSocket,
  SocketClient,
} from "../../../behaviour/websocket/socket-client.ts";

function optionsOf(line: string): Partial<HttpServerOptions> {
  const result = readCommandLine("p", httpFlags, ["--http-port=0", ...line.split(" ").filter(Boolean)]);
  assert.equal(result.kind, "run");
  return httpOptions(result.flags);
}

for (const [line, expected] of [
  ["", {}],
  ["--no-websockets", { webSockets: false }],
  [
    "--websocket-origin https://a.example --websocket-origin null",
    { allowedOrigins: ["https://a.example", "null"] },
  ],
  ["--websocket-max-message 64KiB", { maxSocketMessageBytes: 65_536 }],
  ["--websocket-ping 250ms", { socketHeartbeatMs: 250 }],
  ["--websocket-ping 0", { socketHeartbeatMs: 0 }],
  ["--websocket-write-idle 5s", { socketWriteIdleMs: 5000 }],
  ["--websocket-compression", { socketCompression: true }],
] as const satisfies readonly (readonly [string, Partial<WebSocketOptions>])[]) {
  test(`flags of WebSockets: ${line === "" ? "none" : line}`, () => {
    const merged = { ...webSocketDefaults, ...optionsOf(line) };
    for (const [name, value] of Object.entries({ ...webSocketDefaults, ...expected })) {
      assert.deepEqual(merged[name as keyof WebSocketOptions], value, name);
    }
  });
}

test("a gateway with flags lets their origins in, bounds messages, and pings", async () => {
  const line = "--websocket-origin https://a.example --websocket-max-message 1KiB --websocket-ping 50ms";
  await using gateway = await startGateway(optionsOf(line));
  const foreign = await exchangeBytes(
    gateway.port,
    handshake("/test/v1/chat", "Origin: https://b.example\r\n"),
  );
  assert.equal(statusOf(foreign), 403);
  const url = `ws://127.0.0.1:${gateway.port}/test/v1/chat`;
  const listed = await new SocketClient(url, [], { origin: "https://a.example" }).open();
  await new Promise((resolve) => listed.ws.once("ping", resolve));
  listed.ws.close();
  const raw = await RawSocket.open(gateway.port, "/test/v1/chat", frame(opcode.text, "x".repeat(1025)));
  assert.equal(await raw.closeCode(), 1009);
});

test("a gateway without WebSockets ignores upgrades", async () => {
  await using gateway = await startGateway(optionsOf("--no-websockets"));
  const request = handshake("/test/v1/echo/x").replace("Connection: Upgrade", "Connection: close, Upgrade");
  assert.equal(statusOf(await exchangeBytes(gateway.port, request)), 200);
});
