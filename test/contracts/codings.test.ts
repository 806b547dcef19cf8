/** What every content coding promises, with Node's own functions as the other side. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { suite, test } from "node:test";
import {
  brotliCompressSync,
  brotliDecompressSync,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import fc from "fast-check";
import type { Coding } from "../../src/core/wire/codings/coding.ts";
import { codings, codingsByName } from "../../src/core/wire/codings/codings.ts";

/** Another implementation of a coding, by its name. */
const others: Readonly<
  Record<string, { compress(bytes: Uint8Array): Buffer; decompress(bytes: Uint8Array): Buffer }>
> = {
  gzip: { compress: (bytes) => gzipSync(bytes, { level: 9 }), decompress: (bytes) => gunzipSync(bytes) },
  deflate: {
    compress: (bytes) => deflateSync(bytes, { level: 9 }),
    decompress: (bytes) => inflateSync(bytes),
  },
  br: { compress: (bytes) => brotliCompressSync(bytes), decompress: (bytes) => brotliDecompressSync(bytes) },
  zstd: { compress: (bytes) => zstdCompressSync(bytes), decompress: (bytes) => zstdDecompressSync(bytes) },
};

const text = Buffer.from("one word after another, ".repeat(2_000));
const nothing = Buffer.alloc(0);

/** Whether an error says that bytes are broken, and not that they are too many. */
function isBroken(error: unknown): boolean {
  return error instanceof Error && !(error instanceof RangeError);
}

function inPieces(coding: Coding, way: "compressor" | "decompressor", pieces: Iterable<Uint8Array>) {
  const stream = coding[way]();
  const source = Readable.from(pieces, { objectMode: false });
  source.pipe(stream);
  return buffer(stream);
}

function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("the list has every coding under its name", () => {
  for (const [key, coding] of Object.entries(codings)) {
    assert.equal(coding.name, key);
    assert.match(coding.name, /^[a-z0-9-]+$/);
    assert.equal(codingsByName().get(coding.name), coding);
  }
  assert.deepEqual([...codingsByName([codings.br]).keys()], ["br"]);
  assert.equal(codingsByName().get("constructor"), undefined);
});

for (const coding of Object.values(codings)) {
  suite(coding.name, () => {
    const other = others[coding.name];
    assert.ok(other, "another implementation of it");

    test("whatever is compressed comes back, in whole and in pieces", async () => {
      const bytes = fc.uint8Array({ maxLength: 3_000 });
      await fc.assert(
        fc.asyncProperty(bytes, fc.integer({ min: 1, max: 1_000 }), async (given, size) => {
          const due = Buffer.from(given);
          const whole = await coding.compress(given);
          assert.deepEqual(await coding.decompress(whole, given.length), due);
          assert.deepEqual(await inPieces(coding, "decompressor", cut(whole, size)), due);
          const pieces = await inPieces(coding, "compressor", cut(given, size));
          assert.deepEqual(await coding.decompress(pieces, given.length), due);
        }),
        { numRuns: 30 },
      );
    });

    test("others read it, and are read", async () => {
      for (const given of [nothing, text]) {
        assert.deepEqual(other.decompress(await coding.compress(given)), given);
        assert.deepEqual(other.decompress(await inPieces(coding, "compressor", cut(given, 1_000))), given);
        assert.deepEqual(await coding.decompress(other.compress(given), text.length), given);
        assert.deepEqual(await inPieces(coding, "decompressor", cut(other.compress(given), 100)), given);
      }
    });

    test("text gets smaller", async () => {
      assert.ok((await coding.compress(text)).length < text.length / 50);
    });

    test("a result at the limit passes, one byte more is a RangeError", async () => {
      const packed = await coding.compress(text);
      for (const limit of [text.length, text.length + 1, Number.MAX_SAFE_INTEGER, Infinity]) {
        assert.equal((await coding.decompress(packed, limit)).length, text.length, String(limit));
      }
      for (const limit of [text.length - 1, 1, 0]) {
        await assert.rejects(coding.decompress(packed, limit), RangeError, String(limit));
      }
      const byte = await coding.compress(Uint8Array.of(7));
      assert.equal((await coding.decompress(byte, 1)).length, 1);
      await assert.rejects(coding.decompress(byte, 0), RangeError);
    });

    test("far too large a result is not made", async () => {
      const packed = await coding.compress(Buffer.alloc(32 * 1024 * 1024));
      const before = process.memoryUsage().arrayBuffers;
      await assert.rejects(coding.decompress(packed, 100_000), RangeError);
      assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024);
    });

    test("nothing is compressed to something, and no bytes are broken", async () => {
      const packed = await coding.compress(nothing);
      assert.ok(packed.length > 0);
      assert.equal((await coding.decompress(packed, 0)).length, 0);
      await assert.rejects(coding.decompress(nothing, 100), isBroken);
      await assert.rejects(inPieces(coding, "decompressor", []), isBroken);
    });

    test("bytes that break off or are not of the coding are broken", async () => {
      const packed = await coding.compress(Buffer.from("a few words, a few words more"));
      for (let length = 0; length < packed.length; length++) {
        const part = packed.subarray(0, length);
        await assert.rejects(coding.decompress(part, 1_000), isBroken, `${length} bytes`);
        await assert.rejects(inPieces(coding, "decompressor", cut(part, 7)), isBroken, `${length} bytes`);
      }
      const wrong = Buffer.from("this is not compressed at all");
      await assert.rejects(coding.decompress(wrong, 1_000), isBroken);
      await assert.rejects(inPieces(coding, "decompressor", cut(wrong, 7)), isBroken);
    });

    test("what was written can be read after a flush", async () => {
      const compressor = coding.compressor();
      const decompressor = coding.decompressor();
      compressor.pipe(decompressor);
      let got = "";
      decompressor.on("data", (bytes: Buffer) => (got += bytes.toString()));
      let due = "";
      for (const piece of ["one", "two", "x".repeat(100_000), "three"]) {
        due += piece;
        compressor.write(piece);
        compressor.flush(coding.flushKind);
        while (got !== due) await once(decompressor, "data");
      }
      compressor.end();
      await once(decompressor, "end");
      assert.equal(got, due);
    });
  });
}
