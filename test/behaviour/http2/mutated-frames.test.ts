import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { flag, frameType, hpack, http2Frame, preface, uint32 } from "../../support/http2-frames.ts";
import { grpcPort, ownGatewayPort, whole, type AttackedPort } from "./attacked-ports.ts";

const { headers, data, rstStream, settings, ping, goaway, windowUpdate, continuation } = frameType;

/** Connections with mutated bytes; set the variable for a longer run. */
const rounds = Number(process.env["TS_MS_MUTATIONS"] ?? 600);

/** Numbers from 0 to 1 that are the same in every run (Mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Good frames of every kind. */
function conversation(port: AttackedPort): Buffer[] {
  const { fields } = port;
  const block = hpack(fields);
  return [
    preface,
    http2Frame(settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0])),
    ...whole(1, fields, port.body("one")),
    http2Frame(settings, flag.ack, 0),
    http2Frame(headers, 0, 3, block.subarray(0, 20)),
    http2Frame(continuation, flag.endHeaders, 3, block.subarray(20)),
    http2Frame(data, 8, 3, Buffer.from([2, 0x7b, 0x7d, 0, 0])),
    http2Frame(ping, 0, 0, Buffer.alloc(8)),
    http2Frame(windowUpdate, 0, 0, uint32(1_000)),
    http2Frame(windowUpdate, 0, 3, uint32(1_000)),
    http2Frame(2, 0, 5, Buffer.from([0, 0, 0, 1, 0])),
    http2Frame(rstStream, 0, 3, uint32(8)),
    ...whole(5, fields, port.body("two")),
    http2Frame(goaway, 0, 0, Buffer.alloc(8)),
    ...whole(7, fields, port.body("three")),
  ];
}

function mutated(port: AttackedPort, random: () => number): Buffer {
  const frames = conversation(port);
  const pick = (count: number): number => Math.floor(random() * count);
  // Frames twice, elsewhere and not at all, behind the preface.
  for (let changes = pick(3); changes > 0; changes--) {
    const [frame] = frames.splice(1 + pick(frames.length - 1), 1);
    if (frame !== undefined && random() < 0.8) frames.splice(1 + pick(frames.length), 0, frame, frame);
  }
  const bytes = Buffer.concat(frames);
  for (let changes = pick(6); changes > 0; changes--) {
    const at = preface.length + pick(bytes.length - preface.length);
    bytes[at] = random() < 0.5 ? pick(256) : (bytes[at] ?? 0) ^ (1 << pick(8));
  }
  return random() < 0.2 ? bytes.subarray(0, pick(bytes.length)) : bytes;
}

for (const port of [ownGatewayPort, grpcPort]) {
  test(`E10: ${rounds} connections with mutated frames leave nothing behind at ${port.name}`, async (t) => {
    const server = await port.start(t);
    const random = randomOf(20_261_129);
    for (let round = 0; round < rounds; round += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const bytes = mutated(port, random);
          const socket = connect(server.port, "127.0.0.1");
          socket.on("error", () => {});
          socket.resume();
          const at = Math.floor(random() * bytes.length);
          socket.write(bytes.subarray(0, at));
          await new Promise((resolve) => setImmediate(resolve));
          socket.end(bytes.subarray(at));
          if (!socket.closed) await once(socket, "close");
        }),
      );
    }
    assert.ok(server.calls() > 0);
    await server.assertSound();
  });
}
