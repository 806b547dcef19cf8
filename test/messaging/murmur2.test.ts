import assert from "node:assert/strict";
import { test } from "node:test";
import { murmur2, placeOf } from "../../src/messaging/murmur2.ts";

/** Of the tests of Kafka's own client. */
const hashes: readonly [text: string, hash: number][] = [
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
];

for (const [text, hash] of hashes) {
  test(`the hash of ${text} is that of Kafka's client`, () => {
    assert.equal(murmur2(Buffer.from(text)), hash);
    // A part of a larger buffer that begins anywhere.
    assert.equal(murmur2(Buffer.from(`x${text}y`).subarray(1, -1)), hash);
  });
}

test("places are from 0 on, for hashes below 0 too", () => {
  assert.equal(placeOf("21", 10), (-973_932_308 & 0x7fff_ffff) % 10);
  const places = new Set(Array.from({ length: 2_000 }, (_, at) => placeOf(`key-${at}`, 64)));
  assert.equal(places.size, 64);
});
