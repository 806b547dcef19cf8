import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { withPrefix } from "../../../src/core/wire/message-prefix.ts";
import { MessageReader } from "../../../src/core/wire/message-reader.ts";

const messages = [[], [1], [2, 3, 4], [], Array.from({ length: 300 }, (_, index) => index & 0xff)];
const body = Buffer.concat(messages.map((bytes, index) => withPrefix(Uint8Array.from(bytes), index & 1)));

function read(chunks: Iterable<Buffer>, maxMessageBytes = 1_000) {
  const seen: { flags: number; bytes: number[] }[] = [];
  const sink = { message: (flags: number, bytes: Buffer) => void seen.push({ flags, bytes: [...bytes] }) };
  const reader = new MessageReader(sink, maxMessageBytes);
  for (const chunk of chunks) reader.add(chunk);
  return { seen, partial: reader.partial };
}

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("messages are found wherever the body is cut", () => {
  const expected = messages.map((bytes, index) => ({ flags: index & 1, bytes }));
  for (let size = 1; size <= body.length; size++) {
    assert.deepEqual(read(pieces(body, size)), { seen: expected, partial: false }, `pieces of ${size}`);
  }
  for (let cut = 0; cut <= body.length; cut++) {
    assert.deepEqual(read([body.subarray(0, cut), body.subarray(cut)]).seen, expected, `cut at ${cut}`);
  }
});

test("messages of chunks that are only borrowed are copies", () => {
  for (let size = 1; size <= body.length; size++) {
    const seen: { flags: number; bytes: Buffer }[] = [];
    const reader = new MessageReader({ message: (flags, bytes) => void seen.push({ flags, bytes }) }, 1_000);
    for (const chunk of pieces(Buffer.from(body), size)) {
      reader.add(chunk, true);
      chunk.fill(0xaa);
    }
    assert.deepEqual(
      seen.map(({ flags, bytes }) => ({ flags, bytes: [...bytes] })),
      messages.map((bytes, index) => ({ flags: index & 1, bytes })),
    );
  }
});

test("G09: a body that ends inside a message is partial", () => {
  const one = withPrefix(Uint8Array.of(1, 2, 3));
  for (let cut = 1; cut < one.length; cut++) {
    for (const size of [1, one.length]) {
      assert.equal(read(pieces(one.subarray(0, cut), size)).partial, true, `${cut} bytes`);
    }
  }
});

test("G07: a message at the limit passes, one byte more is refused by its prefix", () => {
  assert.equal(read([withPrefix(new Uint8Array(1_000))]).seen[0]?.bytes.length, 1_000);
  const tooLong = withPrefix(new Uint8Array(1_001)).subarray(0, 5);
  for (const size of [1, 5]) {
    assert.throws(
      () => read(pieces(tooLong, size)),
      (error) => error instanceof ConnectError && error.code === Code.Internal,
    );
  }
});

test("flags without a meaning are refused", () => {
  for (const size of [1, 5]) {
    assert.throws(
      () => read(pieces(Buffer.from([2, 0, 0, 0, 0]), size)),
      (error) => error instanceof ConnectError && error.code === Code.Internal,
    );
  }
});

test("a prefix alone takes no memory", () => {
  const before = process.memoryUsage().arrayBuffers;
  const limit = 2 ** 32 - 1;
  const readers = Array.from({ length: 100 }, () => new MessageReader({ message() {} }, limit));
  for (const reader of readers) reader.add(Buffer.from([0, 0x40, 0, 0, 0, 1]));
  assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
  assert.ok(readers.every(({ partial }) => partial));
});
