import assert from "node:assert/strict";
import { createClient } from "../../src/core/call/client.ts";
import { dial } from "../../src/core/dial.ts";
import { ConnectError } from "../../src/core/errors/errors.ts";
import { http2Counts } from "../../src/core/http2/http2-counts.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { all } from "./failure.ts";
import { flag, frameType, hpack, http2Frame, uint32, type RawHttp2 } from "./http2-frames.ts";
import { echoReply, headersFrame, RawHttp2Server, replyFields, settingsFrame } from "./raw-http2-server.ts";

const { headers, data, rstStream, settings, ping, goaway, windowUpdate, continuation } = frameType;

/** Numbers from 0 to below a limit, the same for the same seed (Mulberry32). */
type Random = (below: number) => number;

function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** How a run went. */
export interface MutatedRun {
  readonly calls: number;
  /** Calls that ended well all the same. */
  readonly unharmed: number;
}

/** Connections at a time. */
const lanes = 4;

/** How long a call may go on behind its deadline, in milliseconds; generous, for machines under load. */
const graceMs = 10_000;

/**
 * Calls of every kind to a server whose frames are mutated: dropped, doubled, moved, cut, with other heads and bytes.
 * Each call must end in time, well or with a `ConnectError`, and no connection may be left behind.
 *
 * @param goesOn Asked before each round, with its number.
 * @returns how many calls were made and did well
 * @throws AssertionError naming seed and round.
 */
export async function runMutatedReplies(
  seed: number,
  goesOn: (round: number) => boolean,
): Promise<MutatedRun> {
  const strays: unknown[] = [];
  const onStray = (reason: unknown): void => void strays.push(reason);
  process.on("unhandledRejection", onStray);
  const before = http2Counts.client.open.size;
  let next = 0;
  let calls = 0;
  let unharmed = 0;
  const lane = async (): Promise<void> => {
    for (let round = next++; goesOn(round); round = next++) {
      const ends = await runRound(seed + round, `seed ${seed}, round ${round}`);
      calls += ends.length;
      unharmed += ends.filter(Boolean).length;
      assert.deepEqual(strays, [], `seed ${seed}, round ${round}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: lanes }, lane));
    const until = performance.now() + graceMs;
    while (http2Counts.client.open.size > before && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(http2Counts.client.open.size <= before, `seed ${seed}: connections are left behind`);
  } finally {
    process.off("unhandledRejection", onStray);
  }
  return { calls, unharmed };
}

/** The calls of one connection, or of several if it ends. @returns whether each ended well */
async function runRound(seed: number, name: string): Promise<boolean[]> {
  const random = randomOf(seed);
  const hello = settingsFrame([3, 1 + random(100)], [4, 40_000 + random(100_000)]);
  const most = http2Frame(windowUpdate, 0, 0, uint32(10_000_000));
  await using server = await new RawHttp2Server(
    (raw) => misbehave(raw, random),
    mutateBytes(Buffer.concat([hello, most]), random, harm(random, 20)),
  ).listen();
  const transport = dial(server.target, {
    engine: "own",
    connectTimeoutMs: 200,
    keepalive: { timeMs: 20, timeoutMs: 100 },
    backoff: { initialMs: 10, maxMs: 20 },
  });
  const client = createClient(EchoService, transport);
  async function* uploads() {
    for (let message = 0; message < 6; message++) yield { payload: new Uint8Array(random(40_000)) };
  }
  const options = { timeoutMs: 300, headers: { "x-round": String(seed) } };
  const begun = performance.now();
  const settled = await Promise.allSettled([
    client.echo({ text: "a" }, options),
    client.echo({ payload: new Uint8Array(70_000) }, options),
    all(client.repeat({ count: 3 }, options)),
    client.collect(uploads(), options),
    all(client.chat(uploads(), options)),
    client.echo({ text: "b" }, options),
  ]);
  const tookMs = performance.now() - begun;
  transport.close();
  assert.ok(tookMs < options.timeoutMs + graceMs, `${name}: calls took ${tookMs} ms`);
  for (const end of settled) {
    if (end.status === "rejected") assert.ok(end.reason instanceof ConnectError, `${name}: ${end.reason}`);
  }
  return settled.map(({ status }) => status === "fulfilled");
}

/** Answers each frame that opens or ends a request by a conversation with faults. */
function misbehave(raw: RawHttp2, random: Random): void {
  let seen = 0;
  const pieces: Buffer[] = [];
  const sendNext = (): void => {
    const piece = pieces.shift();
    if (piece === undefined) return;
    raw.send(piece);
    const end = random(300);
    if (end === 0) raw.socket.end();
    else if (end === 1) raw.socket.resetAndDestroy();
    else if (pieces.length > 0) setImmediate(sendNext);
  };
  raw.socket.on("data", () => {
    for (; seen < raw.frames.length; seen++) {
      const one = raw.frames[seen];
      if (one === undefined || (one.type !== headers && one.type !== data)) continue;
      // Some requests are answered before their end, and some of those at their end again.
      if ((one.flags & flag.endStream) === 0 && random(8) > 0) continue;
      const bytes = mutated(one.streamId, random);
      const cut = random(bytes.length + 1);
      if (pieces.push(bytes.subarray(0, cut), bytes.subarray(cut)) === 2) setImmediate(sendNext);
    }
  });
}

/** Frames that a server may send, around the reply of a stream. */
function conversation(streamId: number, random: Random): Buffer[] {
  const whole = echoReply(streamId, "mutated");
  const block = hpack([...replyFields, ["x-a", "b".repeat(random(200))]]);
  const message = Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 0x61]);
  const trailers = hpack([["grpc-status", String(random(3) * 8)]]);
  const endsAll = flag.endHeaders | flag.endStream;
  const reply: Buffer[][] = [
    [whole],
    [
      http2Frame(headers, 0, streamId, block.subarray(0, 20)),
      http2Frame(continuation, flag.endHeaders, streamId, block.subarray(20)),
      http2Frame(data, 8, streamId, Buffer.concat([Buffer.from([4]), message, Buffer.alloc(4)])),
      http2Frame(data, 0, streamId, message.subarray(0, 3)),
      http2Frame(data, 0, streamId, message.subarray(3)),
      http2Frame(headers, endsAll, streamId, trailers),
    ],
    // From the static table, with Huffman coding, and a field that enters the dynamic table.
    [
      http2Frame(
        headers,
        flag.endHeaders,
        streamId,
        Buffer.from([0x88, 0x5f, 0x8b, 0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64]),
      ),
      http2Frame(headers, endsAll, streamId, Buffer.concat([Buffer.from([0x40]), trailers.subarray(1)])),
    ],
    [headersFrame(streamId, [[":status", "103"]]), whole],
    [headersFrame(streamId, [...replyFields, ["grpc-status", "5"]], endsAll)],
    [headersFrame(streamId, replyFields), http2Frame(data, 0, streamId, Buffer.alloc(20_000))],
  ];
  const noise = [
    settingsFrame([4, random(2) * 100_000], [3, random(20)]),
    settingsFrame([1, random(3) * 2_048]),
    http2Frame(settings, flag.ack, 0),
    http2Frame(ping, 0, 0, Buffer.alloc(8)),
    http2Frame(ping, flag.ack, 0, Buffer.alloc(8)),
    http2Frame(windowUpdate, 0, 0, uint32(1_000)),
    http2Frame(windowUpdate, 0, streamId, uint32(50_000)),
    http2Frame(rstStream, 0, streamId, uint32(random(14))),
    http2Frame(goaway, 0, 0, Buffer.concat([uint32(streamId), uint32(random(3) * random(12))])),
    http2Frame(2, 0, streamId, Buffer.from([0, 0, 0, 0, 9])),
    http2Frame(200, 255, streamId, Buffer.alloc(30)),
  ];
  const frames = [...(reply[random(2) * random(reply.length)] ?? [])];
  for (let count = random(3); count > 0; count--) {
    const [extra = whole] = noise.splice(random(noise.length), 1);
    frames.splice(random(frames.length + 1), 0, extra);
  }
  return frames;
}

function mutated(streamId: number, random: Random): Buffer {
  const frames = conversation(streamId, random);
  if (harm(random, 4) === 0) return Buffer.concat(frames);
  for (let changes = random(3); changes > 0 && frames.length > 0; changes--) {
    const [frame = Buffer.alloc(0)] = frames.splice(random(frames.length), 1);
    const kind = random(5);
    if (kind === 0) continue; // Dropped.
    if (kind === 1) frames.splice(random(frames.length + 1), 0, frame, frame);
    else if (kind === 2) frames.splice(random(frames.length + 1), 0, frame);
    else frames.splice(random(frames.length + 1), 0, otherHead(frame, random));
  }
  return mutateBytes(Buffer.concat(frames), random, random(3) === 0 ? 0 : random(5));
}

/** The frame with another type, flags, stream or length. */
function otherHead(frame: Buffer, random: Random): Buffer {
  const copy = Buffer.from(frame);
  if (copy.length < 9) return copy;
  const kind = random(4);
  if (kind === 0) copy.writeUInt8(random(12), 3);
  else if (kind === 1) copy.writeUInt8(random(256), 4);
  else if (kind === 2) copy.writeUInt32BE(random(2) === 0 ? random(12) : random(2 ** 31), 5);
  else copy.writeUIntBE(random(random(3) === 0 ? 2 ** 24 : 40), 0, 3);
  return copy;
}

/** 1 once in a while, otherwise 0. */
function harm(random: Random, oneIn: number): number {
  return random(oneIn) === 0 ? 1 : 0;
}

function mutateBytes(bytes: Buffer, random: Random, changes: number): Buffer {
  const mutation = [...bytes];
  for (let left = changes; left > 0 && mutation.length > 0; left--) {
    const at = random(mutation.length);
    const kind = random(4);
    if (kind === 0) mutation.splice(at, 1 + random(8));
    else if (kind === 1) mutation.splice(at, 0, ...mutation.slice(at, at + 1 + random(40)));
    else mutation[at] = kind === 2 ? random(256) : (mutation[at] ?? 0) ^ (1 << random(8));
  }
  return Buffer.from(mutation);
}
