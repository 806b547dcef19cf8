import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { flag, frameType, hpack, http2Frame, uint32, type RawHttp2 } from "../../support/http2-frames.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { attack, begin, ownGatewayPort, whole } from "./attacked-ports.ts";
import { ask, openSession } from "./http2-fixture.ts";

const { headers, data, rstStream, settings, ping, goaway, windowUpdate } = frameType;
const { fields } = ownGatewayPort;
const body = (text: string): Buffer => ownGatewayPort.body(text);
const block = hpack(fields);
const noError = 0;
const protocolError = 1;
const flowControlError = 3;
const streamClosed = 5;
const frameSizeError = 6;
const refusedStream = 7;
const compressionError = 9;
const enhanceYourCalm = 11;

async function gatewayOf(t: TestContext, options: Partial<HttpServerOptions> = {}): Promise<Gateway> {
  const gateway = await startGateway({ engine: "own", ...options });
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  return gateway;
}

function get(id: number, path: string): Buffer {
  const request = hpack([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
  ]);
  return http2Frame(headers, flag.endHeaders | flag.endStream, id, request);
}

function setting(identifier: number, value: number): Buffer {
  const entry = Buffer.alloc(6);
  entry.writeUInt16BE(identifier, 0);
  entry.writeUInt32BE(value, 2);
  return http2Frame(settings, 0, 0, entry);
}

const initialWindow = 4;

function received(client: RawHttp2, id: number): number {
  return client
    .of(data)
    .reduce((sum, { streamId, payload }) => sum + (streamId === id ? payload.length : 0), 0);
}

function hasEnded(client: RawHttp2, id: number): boolean {
  return client.frames.some(
    ({ type, flags, streamId }) =>
      streamId === id && (type === data || type === headers) && (flags & flag.endStream) !== 0,
  );
}

/** The answer to a ping: all that came before it was handled. */
async function settle(client: RawHttp2): Promise<void> {
  const before = client.of(ping).length;
  client.send(http2Frame(ping, 0, 0, Buffer.alloc(8)));
  await client.until("the answer to a ping", (seen) => seen.closed || seen.of(ping).length > before);
}

describe("frames where they do not belong end the connection", () => {
  const pad = (length: number, padding: number): Buffer => {
    const payload = Buffer.alloc(length);
    payload[0] = padding;
    return payload;
  };
  const padded = 8;
  const cases: Record<string, readonly [code: number, ...frames: Buffer[]]> = {
    "HEADERS behind END_STREAM": [streamClosed, ...whole(1, fields, body("x")), begin(1, block)],
    "DATA behind END_STREAM": [
      streamClosed,
      http2Frame(headers, flag.endHeaders | flag.endStream, 1, block),
      http2Frame(data, 0, 1, Buffer.from("x")),
    ],
    "DATA behind RST_STREAM": [
      streamClosed,
      begin(1, block),
      http2Frame(rstStream, 0, 1, uint32(8)),
      http2Frame(data, 0, 1, Buffer.from("x")),
    ],
    "HEADERS of a lower stream": [protocolError, begin(5, block), begin(3, block)],
    "WINDOW_UPDATE of an idle stream": [protocolError, http2Frame(windowUpdate, 0, 7, uint32(1))],
    "RST_STREAM of an idle stream": [protocolError, http2Frame(rstStream, 0, 7, uint32(8))],
    PUSH_PROMISE: [protocolError, http2Frame(5, 0, 1, Buffer.alloc(8))],
    "a frame of 65,537 bytes": [
      frameSizeError,
      begin(1, block),
      http2Frame(data, 0, 1, Buffer.alloc(65_537)),
    ],
    "padding as long as DATA": [protocolError, begin(1, block), http2Frame(data, padded, 1, pad(3, 3))],
    "padding as long as HEADERS": [
      protocolError,
      http2Frame(headers, flag.endHeaders | padded, 1, pad(3, 9)),
    ],
    "HEADERS between HEADERS and CONTINUATION": [
      protocolError,
      http2Frame(headers, 0, 1, block),
      begin(3, block),
    ],
    "an index beyond the table": [compressionError, begin(1, Buffer.from([0xff, 0x7f]))],
    "a table above what was announced": [compressionError, begin(1, Buffer.from([0x3f, 0xe2, 0x3f]))],
    "SETTINGS_INITIAL_WINDOW_SIZE above 2^31 - 1": [flowControlError, setting(initialWindow, 2 ** 31)],
    "a window above 2^31 - 1 by SETTINGS": [
      flowControlError,
      begin(1, block),
      http2Frame(windowUpdate, 0, 1, uint32(2 ** 31 - 1 - 65_535)),
      setting(initialWindow, 65_536),
    ],
  };
  for (const [name, [code, ...frames]] of Object.entries(cases)) {
    test(`E10: ${name}`, async (t) => {
      const gateway = await gatewayOf(t);
      const client = await attack(t, gateway);
      client.send(...frames);
      await client.until("the close", ({ closed }) => closed);
      const [last] = client.of(goaway);
      assert.equal(last?.payload.readUInt32BE(4), code);
      assert.notEqual(last?.payload.toString("latin1", 8), "", "GOAWAY names the rule");
      await gateway.stillServes();
    });
  }
});

test("E10: a request cut at every byte gets the same answer", async (t) => {
  const gateway = await gatewayOf(t);
  const bytes = Buffer.concat(whole(1, fields, body("cut")));
  for (const step of [1, 2, 7, 50]) {
    const client = await attack(t, gateway);
    client.socket.setNoDelay(true);
    for (let at = 0; at < bytes.length; at += step) {
      client.send(bytes.subarray(at, at + step));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until("the answer", (seen) => seen.closed || hasEnded(seen, 1));
    assert.match(client.of(data)[0]?.payload.toString() ?? "", /"text":"cut"/);
    client.destroy();
  }
});

test("E05: windows that shrink below zero hold a reply, and credit pays the debt first", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  const text = "w".repeat(200_000);
  client.send(http2Frame(windowUpdate, 0, 0, uint32(1_000_000)), begin(1, block));
  const json = body(text);
  for (let at = 0; at < json.length; at += 16_000) {
    const last = at + 16_000 >= json.length;
    client.send(http2Frame(data, last ? flag.endStream : 0, 1, json.subarray(at, at + 16_000)));
  }
  await client.until("the first window", (seen) => seen.closed || received(seen, 1) === 65_535);
  client.send(setting(initialWindow, 1_000), http2Frame(windowUpdate, 0, 1, uint32(64_535)));
  await settle(client); // The window is 0 now.
  assert.equal(received(client, 1), 65_535);
  client.send(http2Frame(windowUpdate, 0, 1, uint32(10)));
  await client.until("ten bytes", (seen) => seen.closed || received(seen, 1) === 65_545);
  client.send(setting(initialWindow, 500_000));
  await client.until("the end", (seen) => seen.closed || hasEnded(seen, 1));
  const whole = Buffer.concat(client.of(data).map(({ payload }) => payload)).toString();
  assert.equal((JSON.parse(whole) as { text: string }).text, text);
});

test("a stream whose window overflows is reset, and the connection goes on", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  client.send(begin(1, block), http2Frame(windowUpdate, 0, 1, uint32(2 ** 31 - 1)));
  client.send(...whole(3, fields, body("next")));
  await client.until("the answer", (seen) => seen.closed || hasEnded(seen, 3));
  const resets = client.of(rstStream).map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]);
  assert.deepEqual(resets, [[1, flowControlError]]);
});

describe("E01: frames without a use close the connection in the long run", () => {
  const floods: Record<string, Buffer> = {
    SETTINGS: http2Frame(settings, 0, 0),
    PRIORITY: http2Frame(2, 0, 3, Buffer.from([0, 0, 0, 1, 0])),
    "unknown frames": http2Frame(0xee, 0, 0, Buffer.from("?")),
    "RST_STREAM of closed streams": http2Frame(rstStream, 0, 1, uint32(8)),
  };
  for (const [name, frame] of Object.entries(floods)) {
    test(name, async (t) => {
      const gateway = await gatewayOf(t);
      const client = await attack(t, gateway);
      client.send(get(1, "/livez"));
      await client.until("the answer", (seen) => seen.closed || hasEnded(seen, 1));
      const burst = Buffer.concat(Array.from({ length: 1_000 }, () => frame));
      for (let sent = 0; sent < 100 && !client.closed; sent++) {
        client.send(burst);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.until("the close", ({ closed }) => closed);
      assert.equal(client.of(goaway)[0]?.payload.readUInt32BE(4), enhanceYourCalm);
      await gateway.stillServes();
    });
  }
});

test("E03: a client that reads nothing and asks for answers loses its connection", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  await settle(client);
  client.socket.pause();
  const burst = Buffer.concat(Array.from({ length: 2_000 }, () => setting(3, 100)));
  let failed = false;
  client.socket.on("error", () => (failed = true));
  for (let sent = 0; sent < 200 && !failed && !client.closed; sent++) {
    client.send(burst);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.socket.resume();
  await client.until("the close", ({ closed }) => closed);
  await gateway.stillServes();
});

test("unread requests count against the memory of their connection, which opens no streams then", async (t) => {
  const gateway = await gatewayOf(t, { maxSessionMemoryBytes: 100_000, maxConcurrentStreams: 2 });
  const client = await attack(t, gateway);
  client.send(begin(1, block), begin(3, block), begin(5, block)); // The last one waits for its turn.
  for (let i = 0; i < 10; i++) client.send(http2Frame(data, 0, 5, Buffer.alloc(16_000, 0x20)));
  client.send(begin(7, block));
  await client.until("a refusal", (seen) => seen.closed || seen.of(rstStream).length > 0);
  client.send(
    http2Frame(rstStream, 0, 5, uint32(8)),
    get(9, "/livez"),
    http2Frame(rstStream, 0, 1, uint32(8)),
  );
  await client.until("the answer", (seen) => seen.closed || hasEnded(seen, 9));
  const resets = client.of(rstStream).map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]);
  assert.deepEqual(resets, [[7, refusedStream]]);
});

test("more streams than twice the limit are refused, so that any client tries them elsewhere", async (t) => {
  const gateway = await gatewayOf(t, { maxConcurrentStreams: 2 });
  const client = await attack(t, gateway);
  for (const id of [1, 3, 5, 7, 9]) client.send(begin(id, block));
  await client.until("a refusal", (seen) => seen.closed || seen.of(rstStream).length > 0);
  const resets = client.of(rstStream).map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]);
  assert.deepEqual(resets, [[9, refusedStream]]);
});

test("Z04: a drain announces itself, serves what crosses it, and then names its last stream", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  client.send(get(1, "/test/v1/echo/a?behaviour.sleepMs=300"));
  await gateway.echo.until(({ calls }) => calls === 1);
  gateway.http.drain();
  await client.until("GOAWAY and a ping", (seen) => seen.of(goaway).length > 0 && seen.of(ping).length > 0);
  assert.equal(client.of(goaway)[0]?.payload.readUInt32BE(0), 2 ** 31 - 1);
  client.send(get(3, "/livez"));
  await client.until("the answer", (seen) => hasEnded(seen, 3));
  client.send(http2Frame(ping, flag.ack, 0, Buffer.alloc(8)));
  await client.until("the last GOAWAY", (seen) => seen.of(goaway).length === 2);
  assert.equal(client.of(goaway)[1]?.payload.readUInt32BE(0), 3);
  client.send(get(5, "/livez")); // Not processed any more.
  await client.until("the close", ({ closed }) => closed);
  assert.equal(hasEnded(client, 1), true);
  assert.equal(hasEnded(client, 5), false);
  assert.ok(client.of(goaway).every(({ payload }) => payload.readUInt32BE(4) === noError));
});

test("a drain does not wait for a client that answers no pings", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  await settle(client);
  const began = performance.now();
  gateway.http.drain();
  await client.until("the close", ({ closed }) => closed);
  assert.ok(performance.now() - began < 5_000);
});

test("values of users never enter the compression table", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await attack(t, gateway);
  const behaviour = { headers: { "x-user": "secret", "set-cookie": "a=b" } };
  const request = Buffer.from(JSON.stringify({ text: "t", behaviour }));
  for (const id of [1, 3]) {
    client.send(begin(id, block), http2Frame(data, flag.endStream, id, request));
    await client.until("the answer", (seen) => seen.closed || hasEnded(seen, id));
  }
  const heads = client.of(headers).map(({ payload }) => payload.toString("latin1"));
  assert.equal(heads.length, 2);
  for (const head of heads) {
    assert.match(head, /secret/, "a literal without Huffman, each time");
    assert.match(
      head,
      /\x1f\x28\x03a=b/,
      "a literal that is never indexed: set-cookie is 55 of the static table",
    );
  }
});

test("a reply in parts ends with its trailers", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  const path = "/test/v1/repeat/a?count=3";
  const reply = await ask(session, { ":path": path, accept: "application/x-ndjson", te: "trailers" });
  assert.equal(reply.status, 200);
  assert.equal(reply.body.trim().split("\n").length, 3);
  assert.equal(reply.trailers["grpc-status"], "0");
});
