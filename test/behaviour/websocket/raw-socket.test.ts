import assert from "node:assert/strict";
import { test } from "node:test";
import { Rooms } from "../../support/rooms-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { frame, opcode, RawSocket, SocketClient, within } from "./socket-client.ts";

test("a raw rpc gets and gives frames as they are: text as text, binary as binary, empty ones too", async () => {
  const rooms = new Rooms();
  await using gateway = await startGateway({}, [rooms]);
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/talk`);
  await client.open();
  const bytes = Buffer.from([0, 255, 128, 1]);
  client.send("grüß", bytes, "", Buffer.alloc(0));
  for (const [data, isBinary] of [
    [Buffer.from("grüß"), false],
    [bytes, true],
    [Buffer.alloc(0), false],
    [Buffer.alloc(0), true],
  ] as const) {
    assert.deepEqual(await client.next(), { data, isBinary });
  }
  client.ws.close(3333, "enough");
  assert.deepEqual(await within(client.closed, "the close"), { code: 3333, reason: "enough" });
  assert.deepEqual(client.frames, []);
  assert.equal(rooms.aborted, 0);
});

test("the client's close frame is the half-close: what is under way still comes", async () => {
  await using gateway = await startGateway({}, [new Rooms()]);
  const raw = await RawSocket.open(
    gateway.port,
    "/test/v1/talk",
    Buffer.concat([frame(opcode.text, "a"), frame(opcode.text, "b"), frame(opcode.close)]),
  );
  await raw.gone;
  assert.deepEqual(
    raw.frames.map((one) => [one.opcode, one.data.toString()]),
    [
      [opcode.text, "a"],
      [opcode.text, "b"],
      [opcode.close, ""],
    ],
  );
});

test("a good end closes with 1000, an error with 4000 + code, both without a status frame", async () => {
  await using gateway = await startGateway({}, [new Rooms()]);
  for (const [word, code, reason] of [
    ["bye", 1000, ""],
    ["fail", 4010, "told to fail"],
  ] as const) {
    const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/talk`);
    await client.open();
    client.send(word);
    assert.deepEqual(await within(client.closed, "the close"), { code, reason });
    assert.deepEqual(client.frames, []);
  }
});

test("a client that goes without a close frame cancels the call", async () => {
  const rooms = new Rooms();
  await using gateway = await startGateway({}, [rooms]);
  const raw = await RawSocket.open(gateway.port, "/test/v1/talk", frame(opcode.text, "a"));
  await raw.count(1);
  raw.socket.destroy();
  await within(
    rooms.until(({ aborted }) => aborted === 1),
    "the abort",
    1000,
  );
});

test("a raw rpc speaks any subprotocol: the client's first choice, which it hears of", async () => {
  const rooms = new Rooms();
  await using gateway = await startGateway({}, [rooms]);
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/talk`, ["chess.v2", "chess.v1"]);
  await client.open();
  assert.equal(client.ws.protocol, "chess.v2");
  client.send("a");
  await client.next();
  assert.equal(rooms.lastHeader?.get("sec-websocket-protocol"), "chess.v2");
  client.ws.close();
});

test("a raw body in a field: path and query go into the first message", async () => {
  await using gateway = await startGateway({}, [new Rooms()]);
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/rooms/red:whisper`);
  await client.open();
  client.send("a", "b", Buffer.from([1]));
  assert.deepEqual(await client.next(), { data: Buffer.from("red:a"), isBinary: false });
  assert.deepEqual(await client.next(), { data: Buffer.from(":b"), isBinary: false });
  assert.deepEqual(await client.next(), { data: Buffer.from(":\x01"), isBinary: true });
  client.ws.close();
});

test("a reply that says it is text and is not UTF-8 leaves as binary", async () => {
  await using gateway = await startGateway({}, [
    Object.assign(new Rooms(), {
      async *talk() {
        yield { contentType: "text/plain", data: Uint8Array.of(0xc3) };
        yield { contentType: " TEXT/html", data: Buffer.from("ü") };
        yield { contentType: "image/png", data: Buffer.from("a") };
        yield { data: Buffer.from("b") };
      },
    }),
  ]);
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/talk`);
  await within(client.closed, "the close");
  assert.deepEqual(
    client.frames.map(({ isBinary }) => isBinary),
    [true, false, true, true],
  );
});
