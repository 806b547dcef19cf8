import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Writable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { type AmqpMessage, toAmqp } from "../../../src/messaging/rabbitmq/amqp-message.ts";
import { ChannelFrames } from "../../../src/messaging/rabbitmq/channel-frames.ts";
import { messageTo } from "../../support/brokers/readings.ts";

/** What the client itself reads of frames. */
interface Frames {
  parseFrame(
    this: void,
    bytes: Buffer,
    max: number,
  ): { readonly payload: Buffer; readonly rest: Buffer } | false;
  decodeFrame(
    this: void,
    frame: object,
  ): {
    readonly id?: number;
    readonly channel: number;
    readonly size?: number;
    readonly fields?: Readonly<Record<string, unknown>>;
    readonly content?: Buffer;
  };
}

const root = createRequire(createRequire(import.meta.url).resolve("amqplib"));
const { parseFrame, decodeFrame } = root("./lib/frame.js") as Frames; // No public part of it reads frames.

/** A socket that keeps what is written, and takes no more than it is let. */
class Socket extends Writable {
  readonly written: Buffer[] = [];
  isStalled = false;
  #go: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    if (this.isStalled) this.#go = done;
    else done();
  }

  goOn(): void {
    this.isStalled = false;
    this.#go?.();
  }

  frames() {
    const all: ReturnType<Frames["decodeFrame"]>[] = [];
    let rest: Buffer = Buffer.concat(this.written);
    for (let frame = parseFrame(rest, 0); frame !== false; frame = parseFrame(rest, 0)) {
      all.push(decodeFrame(frame));
      rest = frame.rest;
    }
    assert.equal(rest.length, 0, "frames are whole");
    return all;
  }
}

function framesTo(socket: Socket, drained = (): void => {}, maxFrameBytes = 4_096): ChannelFrames {
  return new ChannelFrames({ socket: socket as never, channel: 300, maxFrameBytes }, drained); // It writes alone.
}

function message(over: Parameters<typeof messageTo>[2] = {}, text = "body"): AmqpMessage {
  return toAmqp(messageTo("orders", text, { key: "k", ...over }), { prefix: "p.", name: "shop" }, 0);
}

test("4 the client reads the frames of a message as it would have written them", async () => {
  const socket = new Socket();
  const frames = framesTo(socket);
  const headers = new Map([
    ["x-plain", "1"],
    ["x-wide", "ä→𐍈 "],
    ["x-long", "ö".repeat(200)],
  ]);
  const made = message({ headers });
  assert.equal(
    frames.publish({ ...made, options: { ...made.options, replyTo: "q", correlationId: "7" } }),
    true,
  );
  assert.equal(frames.publish(message({ mandatory: true, body: new Uint8Array(0) })), true);
  assert.equal(socket.written.length, 0);
  await turn();
  assert.equal(socket.written.length, 1, "the messages of one turn are written together");
  const [head, said, body, next, nextSaid, none] = socket.frames();
  assert.equal(none, undefined, "a body of no bytes has no frame");
  assert.ok([head, said, body, next].every((frame) => frame?.channel === 300));
  const { exchange, routingKey, mandatory } = head?.fields ?? {};
  assert.deepEqual([exchange, routingKey, mandatory], ["p.orders", made.routingKey, false]);
  assert.deepEqual({ ...(said?.fields?.["headers"] as object) }, { ...made.options.headers }); // As of all messages.
  const { messageId, timestamp, type, appId, contentType, deliveryMode, replyTo, correlationId } =
    said?.fields ?? {};
  assert.deepEqual(
    { messageId, timestamp, type, appId, contentType, deliveryMode, replyTo, correlationId },
    {
      messageId: made.options.messageId,
      timestamp: made.options.timestamp,
      type: "test.v1.Thing",
      appId: "shop",
      contentType: "application/protobuf",
      deliveryMode: 2,
      replyTo: "q",
      correlationId: "7",
    },
  );
  assert.deepEqual([said?.size, body?.content?.toString()], [4, "body"]);
  assert.deepEqual([next?.fields?.["mandatory"], nextSaid?.size], [true, 0]);
});

test("a body that no frame holds takes several, a large one too", async () => {
  const socket = new Socket();
  const frames = framesTo(socket);
  const text = Array.from({ length: 30_000 }, (_, at) => String(at)).join(" ");
  frames.publish(message({}, text));
  await turn();
  const [, said, ...bodies] = socket.frames();
  assert.equal(said?.size, text.length);
  assert.ok(bodies.every(({ content = Buffer.alloc(0) }) => content.length <= 4_096 - 8));
  assert.equal(Buffer.concat(bodies.map(({ content }) => content ?? Buffer.alloc(0))).toString(), text);
});

test("what AMQP has no form for is not sent, and what is beside it is", async () => {
  const socket = new Socket();
  const frames = framesTo(socket);
  const ill = (over: object): AmqpMessage => ({ ...message(), options: { ...message().options, ...over } });
  frames.publish(message({}, "before"));
  for (const [over, why] of [
    [{ messageId: "x".repeat(256) }, /: its id has 256 bytes: 255 are allowed$/],
    [{ type: "→".repeat(100) }, /: its type has 300 bytes/],
    [{ timestamp: -1 }, /before 1970/],
    [{ headers: { ["x".repeat(256)]: "" } }, /: the name of a header has 256 bytes/],
    [{ headers: { x: "x".repeat(5_000) } }, /exceeds a frame of 4096$/],
  ] as const) {
    assert.throws(() => frames.publish(ill(over)), why);
  }
  assert.throws(
    () => frames.publish({ ...message(), routingKey: "x".repeat(256) }),
    /^RangeError: its routing key/,
  );
  frames.publish(message({}, "behind"));
  await turn();
  const bodies = socket.frames().flatMap(({ content }) => content?.toString() ?? []);
  assert.deepEqual(bodies, ["before", "behind"]);
});

test("a socket that takes no more stops the publisher, and starts it again", async () => {
  const socket = new Socket();
  let drained = 0;
  const frames = framesTo(socket, () => void drained++);
  socket.isStalled = true;
  const large = message({}, "x".repeat(100_000));
  let count = 0;
  for (let goesOn = true; goesOn && count < 1_000; count++) {
    goesOn = frames.publish(large);
    await turn();
  }
  assert.ok(count < 10, `${count} messages of 100 KB are taken`);
  assert.equal(drained, 0);
  socket.goOn();
  while (drained === 0) await turn();
  assert.equal(frames.publish(large), true);
  frames.end();
  await turn();
  assert.equal(
    socket.frames().filter(({ size }) => size === 100_000).length,
    count,
    "nothing follows the end",
  );
});
