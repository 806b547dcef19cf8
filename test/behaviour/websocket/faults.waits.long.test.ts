import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import type { ImportBooksRequest } from "../../../gen/library/v1/library_pb.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { Rooms } from "../../support/rooms-service.ts";
import {
  connectTo,
  exchangeBytes,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";
import { frame, handshake, opcode, RawSocket, SocketClient, within } from "./socket-client.ts";

const mib = 1024 * 1024;

test("S03: a stalled reader pauses the upstream, and gets everything when it reads on", async () => {
  await using gateway = await startGateway();
  const payload = Buffer.alloc(64 * 1024).toString("base64");
  const count = 400;
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/tsms.test.v1.EchoService/Repeat`);
  await client.open();
  client.send(JSON.stringify({ count, payload }));
  await client.next();
  client.ws.pause();
  const produced = await settled(() => gateway.echo.produced);
  assert.ok(
    produced < count / 2,
    `${produced} of ${count} messages were made for a reader that does not read`,
  );
  client.ws.resume();
  for (let index = 1; index < count; index++) assert.equal((await client.json())["index"], index);
  assert.equal((await client.end()).code, 1000);
});

test("S03: a reader that takes nothing for too long is closed with 1013, its call cancelled", async () => {
  await using gateway = await startGateway({ socketWriteIdleMs: 500 });
  const payload = Buffer.alloc(64 * 1024).toString("base64");
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/tsms.test.v1.EchoService/Repeat`);
  await client.open();
  client.send(JSON.stringify({ count: 1000, payload }));
  await client.next();
  client.ws.pause();
  await within(
    gateway.echo.until(({ aborted }) => aborted === 1),
    "the abort",
  );
  client.ws.resume();
  assert.equal((await within(client.closed, "the close")).code, 1013);
  await gateway.stillServes();
});

test("S03: replies that nobody reads and no call stands behind are limited: 1013", async () => {
  await using gateway = await startGateway({ maxSocketUnsentBytes: 100_000 });
  const call = frame(opcode.text, '{"id":1,"method":"tsms.test.v1.EchoService/Chat"}');
  const raw = await RawSocket.open(gateway.port, "/ws", call);
  raw.socket.pause();
  const wrong = frame(opcode.text, JSON.stringify({ id: "x".repeat(100), message: {} }));
  const batch = Buffer.concat(Array.from({ length: 5000 }, () => wrong));
  const timer = setInterval(() => raw.socket.writableLength < 10 * mib && raw.socket.write(batch), 5);
  try {
    await within(
      gateway.echo.until(({ aborted }) => aborted === 1),
      "the abort",
    );
  } finally {
    clearInterval(timer);
  }
  raw.socket.resume();
  assert.equal(await raw.closeCode(), 1013);
  await gateway.stillServes();
});

test("a handler that takes nothing pauses its client's connection, takes it for alive, and loses nothing", async () => {
  const library = new HeldLibrary();
  await using gateway = await startGateway({ socketHeartbeatMs: 300 }, [library]);
  const raw = await RawSocket.open(gateway.port, "/v1/shelves/1/books:import");
  const message = frame(opcode.text, JSON.stringify({ title: "x".repeat(50_000) }));
  const count = 800;
  for (let index = 0; index < count; index++) raw.write(message);
  raw.write(frame(opcode.text));
  const unread = await settled(() => raw.socket.writableLength);
  const pings = raw.frames.length;
  await raw.count(pings + 4); // Twice as many unanswered ones as a connection that is read may have.
  assert.equal(library.received, 1);
  assert.ok(unread > 20 * mib, `only ${unread} bytes wait at the client`);
  library.released.resolve();
  assert.equal(await raw.closeCode(), 1000);
  assert.equal(library.received, count);
});

test("a silent client loses its connection after socketPongWaitMs, with a ping in each interval", async () => {
  await using gateway = await startGateway({ socketHeartbeatMs: 50, socketPongWaitMs: 250 });
  const raw = await RawSocket.open(gateway.port, "/test/v1/chat");
  await raw.count(4); // Two unanswered ones would be enough without the option.
  await within(raw.gone, "the end of the connection");
});

test("a server that was busy takes nobody for dead", async () => {
  await using gateway = await startGateway({ socketHeartbeatMs: 100 });
  const client = await new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`).open();
  client.send('{"text":"before"}');
  assert.equal((await client.json())["text"], "before");
  for (let turn = 0; turn < 10; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const end = performance.now() + 250;
    while (performance.now() < end);
  }
  client.send('{"text":"after"}', "");
  assert.equal((await client.json())["text"], "after");
  assert.equal((await client.end()).code, 1000);
});

for (const [how, leave] of [
  ["FIN", (raw: RawSocket) => void raw.socket.end()],
  ["RST", (raw: RawSocket) => void raw.socket.resetAndDestroy()],
  ["a close frame", (raw: RawSocket) => raw.write(frame(opcode.close, Buffer.from([3, 232])))],
] as const) {
  test(`S04: a client that leaves by ${how} cancels its call within a second`, async () => {
    await using gateway = await startGateway();
    const raw = await RawSocket.open(gateway.port, "/test/v1/chat", frame(opcode.text, "{}"));
    await raw.count(1);
    leave(raw);
    await within(
      gateway.echo.until(({ aborted }) => aborted === 1),
      "the abort",
      1000,
    );
    await within(raw.gone, "the end of the connection");
  });

  if (how === "a close frame") continue;
  test(`S04: ${how} is noticed also while the handler is behind and the connection is not read`, async () => {
    await using gateway = await startGateway();
    const raw = await RawSocket.open(
      gateway.port,
      "/test/v1/collect",
      frame(opcode.text, '{"behaviour":{"sleepMs":60000}}'),
    );
    const text = JSON.stringify({ text: "x".repeat(1000) });
    raw.write(...Array.from({ length: 200 }, () => frame(opcode.text, text)));
    await gateway.echo.until(({ received }) => received === 1);
    await settled(() => raw.socket.writableLength);
    if (how === "FIN") raw.socket.destroy();
    else leave(raw);
    await within(
      gateway.echo.until(({ aborted }) => aborted === 1),
      "the abort",
      2000,
    );
  });
}

test("S06: an upstream that ends cleanly closes with 1000", async () => {
  await using gateway = await startGateway();
  const raw = await RawSocket.open(gateway.port, "/test/v1/repeat/x?count=1");
  assert.equal(await raw.closeCode(), 1000);
  raw.write(frame(opcode.close, Buffer.from([3, 232])));
  await within(raw.gone, "the end of the connection");
});

test("S07: an upload with pings between its messages arrives in order, exactly once", async () => {
  await using gateway = await startGateway();
  const raw = await RawSocket.open(gateway.port, "/test/v1/collect");
  const sent = Array.from({ length: 300 }, (_, index) => `m${index}`);
  for (const [index, text] of sent.entries()) {
    const json = JSON.stringify({ text });
    const half = json.length >> 1;
    raw.write(
      frame(opcode.text, json.slice(0, half), { final: false }),
      frame(opcode.ping, `p${index}`),
      frame(opcode.continuation, json.slice(half)),
    );
    if (index % 10 === 9)
      await within(
        gateway.echo.until(({ received }) => received === index + 1),
        "the messages",
      );
  }
  raw.write(frame(opcode.text));
  await raw.closeCode();
  const pongs = raw.frames.filter((one) => one.opcode === opcode.pong).map(({ data }) => data.toString());
  assert.deepEqual(
    pongs,
    sent.map((_, index) => `p${index}`),
  );
  const [reply] = raw.frames.filter((one) => one.opcode === opcode.text);
  assert.deepEqual((JSON.parse(String(reply?.data)) as { texts: string[] }).texts, sent);
});

for (const [what, path, head, status] of [
  ["a path that no route has", "/nothing", "", 404],
  ["a health path", "/livez", "", 200],
  ["a malformed path", "/test/v1/echo/%ff", "", 400],
  ["a query that does not bind", "/test/v1/echo/x?number=abc", "", 400],
  ["a path of several rpcs", "/test/v1/shared", "", 400],
  ["subprotocols that are not spoken", "/test/v1/chat", "Sec-WebSocket-Protocol: soap\r\n", 400],
  ["a malformed list of subprotocols", "/test/v1/chat", "Sec-WebSocket-Protocol: a,,b\r\n", 400],
  ["a header in the query that is malformed", "/test/v1/chat?$header.a%20b=1", "", 400],
  [
    "a header in the query that cannot be one",
    "/test/v1/chat?$header.authorization=Bearer%20%C3%A9",
    "",
    400,
  ],
  ["an escape in the query that is malformed", "/test/v1/chat?$header.a=%f", "", 400],
  ["a deadline that is none", "/test/v1/chat", "Grpc-Timeout: soon\r\n", 400],
  ["an unknown word for headers", "/test/v1/chat?$headers=here", "", 400],
] as const) {
  test(`S12: ${what} is a plain HTTP answer, never 101`, async () => {
    await using gateway = await startGateway({}, [new Rooms()]);
    const answer = await exchangeBytes(gateway.port, handshake(path, head));
    assert.equal(statusOf(answer), status, answer);
    assert.equal(gateway.echo.calls, 0);
    await gateway.stillServes();
  });
}

test("S12: another version is 426, a key that is none 400", async () => {
  await using gateway = await startGateway();
  const good = handshake("/test/v1/chat");
  const version = await exchangeBytes(gateway.port, good.replace("Version: 13", "Version: 12"));
  assert.equal(statusOf(version), 426);
  assert.match(version, /sec-websocket-version: 13/i);
  const key = await exchangeBytes(gateway.port, good.replace(/Key: .*==/, "Key: short"));
  assert.equal(statusOf(key), 400);
});

test("S12: other upgrades are ignored, and so are those with a body or behind an open answer", async () => {
  await using gateway = await startGateway();
  const closing = "Connection: close, Upgrade";
  for (const request of [
    `GET /test/v1/echo/x HTTP/1.1\r\nHost: a\r\n${closing}\r\nUpgrade: h2c\r\n\r\n`,
    `POST /test/v1/echo HTTP/1.1\r\nHost: a\r\n${closing}\r\nUpgrade: websocket\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    `GET /test/v1/echo/x HTTP/1.1\r\nHost: a\r\n${closing}\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}`,
    `GET /test/v1/echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n`,
  ]) {
    assert.equal(statusOf(await exchangeBytes(gateway.port, request)), 200, request);
  }
  const behind = handshake("/test/v1/echo/y").replace("Connection: Upgrade", closing);
  const both = await exchangeBytes(gateway.port, `GET /test/v1/echo/x HTTP/1.1\r\nHost: a\r\n\r\n${behind}`);
  assert.equal(both.match(/HTTP\/1\.1 200 OK/g)?.length, 2, both);
});

test("S12: with WebSockets off every upgrade is ignored", async () => {
  await using gateway = await startGateway({ webSockets: false });
  const request = handshake("/test/v1/echo/x").replace("Connection: Upgrade", "Connection: close, Upgrade");
  assert.equal(statusOf(await exchangeBytes(gateway.port, request)), 200);
});

test("S12: while routes are still to come, 503", async () => {
  const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0, awaitServices: true });
  await http.start();
  const answer = await exchangeBytes(http.address?.port ?? 0, handshake("/test/v1/chat"));
  await http.gracefulStop({ graceMs: 0 });
  assert.equal(statusOf(answer), 503);
});

for (const [origin, host, options, status] of [
  [undefined, "localhost", {}, 101],
  ["http://localhost", "localhost", {}, 101],
  ["https://localhost", "localhost", {}, 101],
  ["http://localhost:8080", "localhost:8080", {}, 101],
  ["https://LOCALHOST", "localhost:443", {}, 101],
  ["http://localhost:8081", "localhost:8080", {}, 403],
  ["http://evil.example", "localhost", {}, 403],
  ["http://localhost.evil.example", "localhost", {}, 403],
  ["null", "localhost", {}, 403],
  ["", "localhost", {}, 403],
  ["file://", "localhost", {}, 403],
  ["http://localhost/", "localhost", {}, 403],
  ["https://app.example.com", "localhost", { allowedOrigins: ["https://app.example.com"] }, 101],
  ["http://app.example.com", "localhost", { allowedOrigins: ["https://app.example.com"] }, 403],
  ["null", "localhost", { allowedOrigins: ["null"] }, 101],
  ["http://any.example", "localhost", { allowedOrigins: ["*"] }, 101],
] as const) {
  test(`S13: a page of ${origin} gets ${status} from ${host} with ${JSON.stringify(options)}`, async () => {
    await using gateway = await startGateway(options);
    const head = origin === undefined ? "" : `Origin: ${origin}\r\n`;
    const request = handshake("/test/v1/chat", head).replace("Host: localhost", `Host: ${host}`);
    const answer = await exchangeBytes(gateway.port, request, (text) => text.includes("\r\n\r\n"));
    assert.equal(statusOf(answer), status, answer);
  });
}

test("S13: an entry of allowedOrigins that is no origin is refused by name", async () => {
  for (const entry of [
    "app.example.com",
    "https://app.example.com/",
    "https://app.example.com/x",
    "ftp://a",
  ]) {
    await assert.rejects(startGateway({ allowedOrigins: [entry] }), new RegExp(`allowedOrigins: "${entry}"`));
  }
});

for (const [what, bytes] of [
  ["an unmasked frame", frame(opcode.text, "{}", { masked: false })],
  ["a reserved bit", frame(opcode.text, "{}", { reserved: 4 })],
  ["the bit of compression that was not agreed on", frame(opcode.text, "{}", { reserved: 4 })],
  ["an unknown opcode", frame(3)],
  ["an unknown control opcode", frame(11)],
  ["a fragmented ping", frame(opcode.ping, "", { final: false })],
  ["a ping of more than 125 bytes", frame(opcode.ping, "x".repeat(126))],
  ["a continuation of nothing", frame(opcode.continuation, "x")],
] as const) {
  for (const path of ["/test/v1/chat", "/test/v1/talk", "/ws"]) {
    test(`S14: ${what} closes ${path} with 1002`, async () => {
      const rooms = new Rooms();
      await using gateway = await startGateway({}, [rooms]);
      const first = path === "/ws" ? '{"id":1,"method":"tsms.test.v1.EchoService/Chat","message":{}}' : "{}";
      const raw = await RawSocket.open(gateway.port, path, frame(opcode.text, first));
      await raw.count(1);
      raw.write(bytes);
      assert.equal(await raw.closeCode(), 1002);
      await within(
        Promise.race([
          gateway.echo.until(({ aborted }) => aborted === 1),
          rooms.until(({ aborted }) => aborted === 1),
        ]),
        "the abort",
        1000,
      );
    });
  }
}

test("S15: text that is no UTF-8 closes with 1007, split across fragments too", async () => {
  await using gateway = await startGateway({}, [new Rooms()]);
  for (const path of ["/test/v1/chat", "/test/v1/talk", "/ws"]) {
    const whole = await RawSocket.open(
      gateway.port,
      path,
      frame(opcode.text, Uint8Array.of(0x22, 0xc3, 0x28)),
    );
    assert.equal(await whole.closeCode(), 1007);
    const parts = await RawSocket.open(gateway.port, path);
    parts.write(
      frame(opcode.text, Uint8Array.of(0xe2, 0x82), { final: false }),
      frame(opcode.continuation, Uint8Array.of(0x28)),
    );
    assert.equal(await parts.closeCode(), 1007);
  }
});

test("S16: a message above the limit closes with 1009, in one frame or in many", async () => {
  await using gateway = await startGateway({ maxSocketMessageBytes: 1000 });
  const one = await RawSocket.open(gateway.port, "/test/v1/chat", frame(opcode.text, "x".repeat(1001)));
  assert.equal(await one.closeCode(), 1009);
  const many = await RawSocket.open(gateway.port, "/test/v1/chat");
  many.write(
    frame(opcode.text, "x".repeat(600), { final: false }),
    frame(opcode.continuation, "x".repeat(600)),
  );
  assert.equal(await many.closeCode(), 1009);
  const fits = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  await fits.open();
  fits.send(JSON.stringify({ text: "x".repeat(900) }));
  assert.equal(String((await fits.json())["text"]).length, 900);
  fits.ws.close();
});

test("S16: a message in too many fragments closes with 1008", async () => {
  await using gateway = await startGateway();
  const raw = await RawSocket.open(gateway.port, "/test/v1/chat", frame(opcode.text, "", { final: false }));
  raw.write(...Array.from({ length: 1025 }, () => frame(opcode.continuation, "", { final: false })));
  assert.equal(await raw.closeCode(), 1008);
});

test("S16: a deflate bomb closes with 1009 and takes little memory", async () => {
  await using gateway = await startGateway({ socketCompression: true });
  const raw = await openCompressed(gateway.port);
  const bomb = deflateRawSync(Buffer.alloc(200 * mib), { finishFlush: 2 });
  const before = process.memoryUsage().rss;
  raw.write(frame(opcode.text, bomb, { reserved: 4 }));
  const answer = await within(raw.answer, "the close");
  assert.ok(answer.includes(String.fromCharCode(0x88, 2, 0x03, 0xf1)), "no close frame with 1009");
  assert.ok(process.memoryUsage().rss - before < 100 * mib);
});

test("S26: compression is off unless asked for, and works then", async () => {
  await using gateway = await startGateway();
  const plain = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  await plain.open();
  assert.equal(plain.ws.extensions, "");
  plain.ws.close();
  await using compressing = await startGateway({ socketCompression: true });
  const client = new SocketClient(`ws://127.0.0.1:${compressing.port}/test/v1/chat`);
  await client.open();
  assert.match(client.ws.extensions, /permessage-deflate/);
  const text = "abc".repeat(10_000);
  client.send(JSON.stringify({ text }), "");
  assert.equal((await client.json())["text"], text);
  assert.equal((await client.end()).code, 1000);
});

for (const payload of [[3, 231], [3, 237], [255, 255], [0]]) {
  test(`S18: a close frame with ${payload.join(" ")} is answered by 1002`, async () => {
    await using gateway = await startGateway({}, [new Rooms()]);
    for (const path of ["/test/v1/chat", "/test/v1/talk", "/ws"]) {
      const raw = await RawSocket.open(gateway.port, path, frame(opcode.close, Uint8Array.from(payload)));
      assert.equal(await raw.closeCode(), 1002);
    }
  });
}

test("S19: the first message in the handshake's own segment is delivered, also behind slow hooks", async () => {
  await using gateway = await startGateway({}, [], ({ fastify }) => {
    fastify.addHook("preHandler", () => new Promise((resolve) => setTimeout(resolve, 50)));
  });
  const first = Buffer.concat([frame(opcode.text, '{"text":"a"}'), frame(opcode.text, '{"text":"b"}')]);
  const raw = await RawSocket.open(gateway.port, "/test/v1/chat", first);
  await raw.count(2);
  assert.deepEqual(
    raw.frames.map(({ data }) => (JSON.parse(data.toString()) as { text: string }).text),
    ["a", "b"],
  );
  raw.socket.destroy();
});

test("S20: frames of the wrong kind close with 1003, text that is no JSON with 4003", async () => {
  await using gateway = await startGateway();
  const url = `ws://127.0.0.1:${gateway.port}`;
  for (const [path, protocol, sent, code] of [
    ["/test/v1/chat", "json", Buffer.from("{}"), 1003],
    ["/test/v1/chat", "json", Buffer.alloc(0), 1003],
    ["/test/v1/chat", "proto", "{}", 1003],
    ["/test/v1/chat", "json", "nope", 4003],
    ["/test/v1/chat", "json", "{} {}", 4003],
    ["/test/v1/chat", "json", '{"text":5}', 4003],
    ["/test/v1/chat", "proto", Buffer.from([255]), 4003],
  ] as const) {
    const client = new SocketClient(`${url}${path}`, protocol);
    await client.open();
    client.send(sent);
    const end = await client.end();
    assert.deepEqual([end.status, end.code], [3, code], `${protocol} ${sent.toString()}`);
  }
  const many = new SocketClient(`${url}/ws`);
  await many.open();
  many.send(Buffer.from("{}"));
  assert.equal((await within(many.closed, "the close")).code, 1003);
});

test("S21: a client that answers no pings is cut, its call cancelled; one that answers stays", async () => {
  await using gateway = await startGateway({ socketHeartbeatMs: 200 });
  const alive = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  await alive.open();
  let pings = 0;
  alive.ws.on("ping", () => pings++);
  const raw = await RawSocket.open(gateway.port, "/test/v1/chat", frame(opcode.text, "{}"));
  await within(
    gateway.echo.until(({ aborted }) => aborted === 1),
    "the abort",
  );
  await within(raw.gone, "the end of the connection");
  assert.ok(raw.frames.some((one) => one.opcode === opcode.ping));
  assert.equal(await raw.closeCode(), 1006);
  assert.ok(pings >= 1);
  alive.send('{"text":"still here"}');
  assert.equal((await alive.json())["text"], "still here");
  alive.ws.close();
});

test("a connection that breaks during the handshake harms nobody", async () => {
  await using gateway = await startGateway({}, [], ({ fastify }) => {
    fastify.addHook("preHandler", () => new Promise((resolve) => setTimeout(resolve, 20)));
  });
  for (let i = 0; i < 5; i++) {
    const socket = await connectTo(gateway.port);
    socket.write(handshake("/test/v1/chat"));
    socket.resetAndDestroy();
    const half = await connectTo(gateway.port);
    half.end(handshake("/test/v1/chat"));
    await readUntil(half, () => false);
  }
  await gateway.stillServes();
});

/** Reads the first book of an import, and the others when it is told to. */
class HeldLibrary extends LibraryService {
  readonly released = Promise.withResolvers<void>();
  received = 0;

  override async importBooks(requests: AsyncIterable<ImportBooksRequest>) {
    for await (const _book of requests) {
      this.received++;
      await this.released.promise;
    }
    return { imported: this.received, failures: [] };
  }
}

/** The value of `read` as soon as it does not change any more. */
async function settled(read: () => number): Promise<number> {
  let value = read();
  for (let same = 0; same < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = read() === value ? same + 1 : 0;
    value = read();
  }
  return value;
}

/** A socket with compression, whose answer is looked at as it is. */
async function openCompressed(
  port: number,
): Promise<{ write(...frames: Uint8Array[]): void; answer: Promise<string> }> {
  const socket = await connectTo(port);
  const head = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  socket.write(handshake("/test/v1/chat", head));
  const [first] = (await new Promise((resolve) =>
    socket.once("data", (chunk: Buffer) => resolve([chunk])),
  )) as [Buffer];
  assert.match(first.toString("latin1"), /permessage-deflate/);
  return {
    write: (...frames) => void socket.write(Buffer.concat(frames)),
    answer: readUntil(socket, () => false),
  };
}
