import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader, type FrameSink } from "../../../src/core/http2/frame-reader.ts";
import {
  goawayBytes,
  pingBytes,
  putGoaway,
  putHead,
  putPing,
  putPingAck,
  putRstStream,
  putSettings,
  putSettingsAck,
  putWindowUpdate,
  settingsBytes,
  shortFrameBytes,
} from "../../../src/core/http2/frame-writer.ts";
import { GlitchBudget } from "../../../src/core/http2/glitch-budget.ts";
import { errorCode, Http2Error } from "../../../src/core/http2/http2-error.ts";
import { ReceiveWindow } from "../../../src/core/http2/receive-window.ts";
import { SendWindow } from "../../../src/core/http2/send-window.ts";
import { PeerSettings } from "../../../src/core/http2/settings.ts";
import { flag, frameType, http2Frame, uint32 } from "../../support/http2-frames.ts";

/** Notes the frames; the pieces of one DATA frame are joined, since they depend on where the bytes are cut. */
class Notes implements FrameSink {
  readonly seen: unknown[][] = [];
  #data = "";

  data(...what: unknown[]): void {
    this.seen.push(["data", ...what]);
    this.#data = "";
  }
  dataBytes(bytes: Buffer, start: number, end: number): void {
    this.#data += bytes.toString("hex", start, end);
  }
  dataEnd(endStream: boolean): void {
    this.seen.push(["data end", endStream, this.#data]);
  }
  headers(id: number, ends: boolean, bytes: Buffer, start: number, end: number): void {
    this.seen.push(["headers", id, ends, bytes.toString("hex", start, end)]);
  }
  rstStream(...what: unknown[]): void {
    this.seen.push(["reset", ...what]);
  }
  settings(bytes: Buffer, start: number, end: number): void {
    this.seen.push(["settings", bytes.toString("hex", start, end)]);
  }
  settingsAck(): void {
    this.seen.push(["settings ack"]);
  }
  ping(ack: boolean, bytes: Buffer, start: number): void {
    this.seen.push(["ping", ack, bytes.toString("hex", start, start + 8)]);
  }
  goaway(last: number, code: number, bytes: Buffer, start: number, end: number): void {
    this.seen.push(["goaway", last, code, bytes.toString("latin1", start, end)]);
  }
  windowUpdate(...what: unknown[]): void {
    this.seen.push(["window", ...what]);
  }
  ignored(type: number): void {
    this.seen.push(["ignored", type]);
  }
}

const limits = { maxFrameBytes: 16_384, maxBlockBytes: 1_000 };
const hello = http2Frame(frameType.settings, 0, 0);
const { data, headers, rstStream, settings, ping, goaway, windowUpdate, continuation } = frameType;
const [priority, pushPromise] = [2, 5];
const padded = 8;
const withPriority = 0x20;

function read(chunks: readonly Buffer[]): unknown[][] {
  const notes = new Notes();
  const reader = new FrameReader(notes, limits);
  for (const chunk of chunks) {
    // A buffer of its own that is used again, as the one below a socket is.
    const shared = Buffer.from(chunk);
    reader.push(shared, shared.length);
    shared.fill(0xaa);
  }
  return notes.seen;
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

const valid: readonly (readonly [name: string, frames: Buffer[], seen: unknown[][]])[] = [
  [
    "DATA",
    [http2Frame(data, 0, 3, bytes("0102"))],
    [
      ["data", 3, 2],
      ["data end", false, "0102"],
    ],
  ],
  [
    "empty DATA",
    [http2Frame(data, flag.endStream, 3)],
    [
      ["data", 3, 0],
      ["data end", true, ""],
    ],
  ],
  [
    "padded DATA",
    [http2Frame(data, padded | flag.endStream, 1, bytes("0201020000"))],
    [
      ["data", 1, 5],
      ["data end", true, "0102"],
    ],
  ],
  [
    "DATA of padding alone",
    [http2Frame(data, padded, 1, bytes("020000"))],
    [
      ["data", 1, 3],
      ["data end", false, ""],
    ],
  ],
  [
    "DATA with a pad length of 0",
    [http2Frame(data, padded, 1, bytes("00"))],
    [
      ["data", 1, 1],
      ["data end", false, ""],
    ],
  ],
  [
    "HEADERS",
    [http2Frame(headers, flag.endHeaders | flag.endStream, 5, bytes("8286"))],
    [["headers", 5, true, "8286"]],
  ],
  ["empty HEADERS", [http2Frame(headers, flag.endHeaders, 5)], [["headers", 5, false, ""]]],
  [
    "HEADERS with padding and priority",
    [http2Frame(headers, flag.endHeaders | padded | withPriority, 5, bytes("02000000010a82860000"))],
    [["headers", 5, false, "8286"]],
  ],
  [
    "HEADERS with CONTINUATION",
    [
      http2Frame(headers, flag.endStream, 7, bytes("82")),
      http2Frame(continuation, 0, 7, bytes("8687")),
      http2Frame(continuation, flag.endHeaders, 7),
    ],
    [["headers", 7, true, "828687"]],
  ],
  ["RST_STREAM", [http2Frame(rstStream, 0, 9, uint32(8))], [["reset", 9, 8]]],
  ["SETTINGS", [http2Frame(settings, 0, 0, bytes("000300000001"))], [["settings", "000300000001"]]],
  ["SETTINGS ACK", [http2Frame(settings, flag.ack, 0)], [["settings ack"]]],
  ["PING", [http2Frame(ping, 0, 0, bytes("0102030405060708"))], [["ping", false, "0102030405060708"]]],
  [
    "PING ACK",
    [http2Frame(ping, flag.ack, 0, bytes("0102030405060708"))],
    [["ping", true, "0102030405060708"]],
  ],
  [
    "GOAWAY",
    [http2Frame(goaway, 0, 0, Buffer.concat([uint32(0x80000005), uint32(11), Buffer.from("why")]))],
    [["goaway", 5, 11, "why"]],
  ],
  ["WINDOW_UPDATE", [http2Frame(windowUpdate, 0, 3, uint32(0x80000007))], [["window", 3, 7]]],
  ["PRIORITY", [http2Frame(priority, 0, 3, bytes("0000000000"))], [["ignored", 2]]],
  ["a frame of an unknown type", [http2Frame(0xbe, 0xff, 2, bytes("0102"))], [["ignored", 0xbe]]],
  ["an empty frame of an unknown type", [http2Frame(0xbe, 0xff, 0)], [["ignored", 0xbe]]],
  ["unknown flags", [http2Frame(rstStream, 0xff, 9, uint32(8))], [["reset", 9, 8]]],
];

for (const [name, frames, seen] of valid) {
  test(`E10: ${name} is the same wherever it is cut`, () => {
    const all = Buffer.concat([hello, ...frames, ...frames]);
    const expected = [["settings", ""], ...seen, ...seen];
    assert.deepEqual(read([all]), expected);
    for (let cut = 1; cut < all.length; cut++) {
      assert.deepEqual(read([all.subarray(0, cut), all.subarray(cut)]), expected, `cut at ${cut}`);
    }
    assert.deepEqual(read([...all].map((byte) => Buffer.from([byte]))), expected, "a byte each");
  });
}

test("E10: 64 KiB of frames in one piece are all read", () => {
  const one = http2Frame(ping, 0, 0, Buffer.alloc(8));
  const count = Math.floor(65_536 / one.length);
  const all = Buffer.concat([hello, ...Array.from({ length: count }, () => one)]);
  assert.equal(read([all]).length, count + 1);
});

test("E10: any frames are the same wherever they are cut", () => {
  const frames = fc.array(fc.constantFrom(...valid), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat(200), { maxLength: 8 }), (chosen, cuts) => {
      const all = Buffer.concat([hello, ...chosen.flatMap(([, some]) => some)]);
      const places = [0, ...cuts.filter((cut) => cut < all.length).toSorted((a, b) => a - b), all.length];
      const chunks = places.slice(1).map((end, index) => all.subarray(places[index], end));
      assert.deepEqual(read(chunks), [["settings", ""], ...chosen.flatMap(([, , seen]) => seen)]);
    }),
  );
});

const { protocolError, frameSizeError, enhanceYourCalm } = errorCode;

const invalid: readonly (readonly [name: string, code: number, frames: Buffer[]])[] = [
  ["DATA of stream 0", protocolError, [http2Frame(data, 0, 0)]],
  ["HEADERS of stream 0", protocolError, [http2Frame(headers, flag.endHeaders, 0)]],
  ["RST_STREAM of stream 0", protocolError, [http2Frame(rstStream, 0, 0, uint32(0))]],
  ["PRIORITY of stream 0", protocolError, [http2Frame(priority, 0, 0, bytes("0000000000"))]],
  ["SETTINGS of a stream", protocolError, [http2Frame(settings, 0, 1)]],
  ["PING of a stream", protocolError, [http2Frame(ping, 0, 1, Buffer.alloc(8))]],
  ["GOAWAY of a stream", protocolError, [http2Frame(goaway, 0, 1, Buffer.alloc(8))]],
  ["PUSH_PROMISE", protocolError, [http2Frame(pushPromise, flag.endHeaders, 1, uint32(2))]],
  ["a frame above the maximum", frameSizeError, [http2Frame(data, 0, 1, Buffer.alloc(16_385))]],
  ["an unknown frame above the maximum", frameSizeError, [http2Frame(0xbe, 0, 1, Buffer.alloc(16_385))]],
  ["PING of 7 bytes", frameSizeError, [http2Frame(ping, 0, 0, Buffer.alloc(7))]],
  ["RST_STREAM of 5 bytes", frameSizeError, [http2Frame(rstStream, 0, 1, Buffer.alloc(5))]],
  ["WINDOW_UPDATE of 3 bytes", frameSizeError, [http2Frame(windowUpdate, 0, 1, Buffer.alloc(3))]],
  ["PRIORITY of 4 bytes", frameSizeError, [http2Frame(priority, 0, 1, Buffer.alloc(4))]],
  ["GOAWAY of 7 bytes", frameSizeError, [http2Frame(goaway, 0, 0, Buffer.alloc(7))]],
  ["SETTINGS of 5 bytes", frameSizeError, [http2Frame(settings, 0, 0, Buffer.alloc(5))]],
  ["SETTINGS ACK with a body", frameSizeError, [http2Frame(settings, flag.ack, 0, Buffer.alloc(6))]],
  ["padding as long as DATA", protocolError, [http2Frame(data, padded, 1, bytes("020000").fill(3, 0, 1))]],
  ["DATA without its pad length", frameSizeError, [http2Frame(data, padded, 1)]],
  [
    "padding longer than HEADERS",
    protocolError,
    [http2Frame(headers, flag.endHeaders | padded, 1, bytes("0200"))],
  ],
  ["HEADERS without their pad length", frameSizeError, [http2Frame(headers, flag.endHeaders | padded, 1)]],
  [
    "HEADERS without their priority",
    protocolError,
    [http2Frame(headers, flag.endHeaders | withPriority, 1, uint32(0))],
  ],
  ["CONTINUATION without HEADERS", protocolError, [http2Frame(continuation, flag.endHeaders, 1)]],
  [
    "CONTINUATION of another stream",
    protocolError,
    [http2Frame(headers, 0, 1), http2Frame(continuation, flag.endHeaders, 3)],
  ],
  [
    "a frame inside a header block",
    protocolError,
    [http2Frame(headers, 0, 1), http2Frame(ping, 0, 0, Buffer.alloc(8))],
  ],
  [
    "an unknown frame inside a header block",
    protocolError,
    [http2Frame(headers, 0, 1), http2Frame(0xbe, 0, 1)],
  ],
  ["an empty CONTINUATION", enhanceYourCalm, [http2Frame(headers, 0, 1), http2Frame(continuation, 0, 1)]],
  [
    "nine CONTINUATION frames",
    enhanceYourCalm,
    [
      http2Frame(headers, 0, 1),
      ...Array.from({ length: 9 }, () => http2Frame(continuation, 0, 1, bytes("82"))),
    ],
  ],
  [
    "a header block above the limit",
    enhanceYourCalm,
    [http2Frame(headers, 0, 1, Buffer.alloc(600)), http2Frame(continuation, 0, 1, Buffer.alloc(600))],
  ],
];

for (const [name, code, frames] of invalid) {
  test(`rule 2: ${name} is a connection error wherever it is cut`, () => {
    const all = Buffer.concat([hello, ...frames]);
    const cuts = all.length > 2_000 ? [all.length, 18, 19] : all.keys();
    for (const cut of cuts) {
      assert.throws(
        () => read([all.subarray(0, cut), all.subarray(cut)]),
        (error) => error instanceof Http2Error && error.code === code && error.message.length <= 64,
        `cut at ${cut}`,
      );
    }
  });
}

for (const [name, frame] of [
  ["DATA", http2Frame(data, 0, 1)],
  ["SETTINGS ACK", http2Frame(settings, flag.ack, 0)],
  ["HTTP/1.1", Buffer.from("HTTP/1.1 400 Bad Request\r\n")],
] as const) {
  test(`rule 13: ${name} as the first frame is a connection error`, () => {
    assert.throws(() => read([frame]), Http2Error);
  });
}

test("no bytes make the reader throw anything but an Http2Error", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 })), (chunks) => {
      try {
        read([hello, ...chunks.map((chunk) => Buffer.from(chunk))]);
      } catch (error) {
        assert.ok(error instanceof Http2Error, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("what the writer writes is what the reader reads", () => {
  const into = Buffer.alloc(500);
  let end = putSettings(into, 0, [[4, 262_144]]);
  assert.equal(end, settingsBytes([[4, 262_144]]));
  end = putSettingsAck(into, end);
  let before = end;
  end = putRstStream(into, end, 2 ** 31 - 1, 8);
  assert.equal(end - before, shortFrameBytes);
  end = putWindowUpdate(into, end, 0, 2 ** 31 - 1);
  before = end;
  end = putPing(into, end);
  assert.equal(end - before, pingBytes);
  end = putPingAck(into, end, Buffer.from("..12345678"), 2);
  before = end;
  end = putGoaway(into, end, 7, 11, "too many");
  assert.equal(end - before, goawayBytes("too many"));
  end = putHead(into, end, 0, data, flag.endStream, 3);
  assert.deepEqual(read([into.subarray(0, end)]), [
    ["settings", "000400040000"],
    ["settings ack"],
    ["reset", 2 ** 31 - 1, 8],
    ["window", 0, 2 ** 31 - 1],
    ["ping", false, "0000000000000000"],
    ["ping", true, Buffer.from("12345678").toString("hex")],
    ["goaway", 7, 11, "too many"],
    ["data", 3, 0],
    ["data end", true, ""],
  ]);
});

test("rule 11: a window may be negative, and credit pays the debt first", () => {
  const window = new SendWindow(65_535);
  window.take(65_535);
  assert.equal(window.add(-65_535), true);
  assert.equal(window.bytes, 0);
  window.add(65_530);
  assert.equal(window.bytes, 0);
  window.add(10);
  assert.equal(window.bytes, 5);
  assert.equal(window.add(2 ** 31 - 1 - 5), true);
  assert.equal(window.add(1), false);
});

test("rule 8: credit is given when half of a window is used", () => {
  const window = new ReceiveWindow(100);
  assert.equal(window.receive(100), true);
  assert.equal(window.use(49), 0);
  assert.equal(window.use(1), 50);
  assert.equal(window.receive(50), true);
  assert.equal(window.receive(1), false);
});

test("rule 6: glitches are paid from a budget that time and useful work fill up", () => {
  let now = 0;
  const budget = new GlitchBudget({ burst: 3, perSecond: 2 }, () => now);
  const spend = (): boolean => budget.spend();
  assert.deepEqual([spend(), spend(), spend(), spend()], [true, true, true, false]);
  now = 500;
  assert.deepEqual([spend(), spend()], [true, false]);
  budget.earn(4);
  assert.deepEqual([spend(), spend(), spend(), spend()], [true, true, true, false]);
});

function settingsOf(...entries: (readonly [number, number])[]): PeerSettings {
  const tables: number[] = [];
  const frame = Buffer.alloc(settingsBytes(entries));
  putSettings(frame, 0, entries);
  const applied = new PeerSettings("server");
  applied.apply(frame, 9, frame.length, (size) => tables.push(size));
  assert.deepEqual(
    tables,
    entries.filter(([id]) => id === 1).map(([, value]) => value),
  );
  return applied;
}

test("settings are taken over in their order; unknown ones have no effect", () => {
  const { maxConcurrentStreams, initialWindowBytes, maxFrameBytes, maxHeaderListBytes } = settingsOf(
    ...([
      [1, 0],
      [1, 100],
      [2, 0],
      [3, 5],
      [3, 7],
      [4, 0],
      [5, 16_777_215],
      [6, 9],
      [0xff, 1],
    ] as const),
  );
  assert.deepEqual(
    [maxConcurrentStreams, initialWindowBytes, maxFrameBytes, maxHeaderListBytes],
    [7, 0, 16_777_215, 9],
  );
});

for (const [name, entry, code] of [
  ["push of a server", [2, 1], protocolError],
  ["a window above 2^31 - 1", [4, 2 ** 31], errorCode.flowControlError],
  ["a maximum below 16,384", [5, 16_383], protocolError],
  ["a maximum above 2^24 - 1", [5, 2 ** 24], protocolError],
] as const) {
  test(`settings: ${name} is a connection error`, () => {
    assert.throws(
      () => settingsOf(entry),
      (error) => error instanceof Http2Error && error.code === code,
    );
  });
}
