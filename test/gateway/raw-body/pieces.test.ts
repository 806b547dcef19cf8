import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pieces } from "../../../src/gateway/raw-body/pieces.ts";

async function* chunksOf(sizes: readonly number[]): AsyncGenerator<Buffer> {
  let next = 0;
  for (const size of sizes) yield Buffer.from(Array.from({ length: size }, () => next++ % 256));
}

async function all(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const chunk of chunks) found.push(chunk);
  return found;
}

test("bytes stay in order, in pieces of one size but the last", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 40 })),
      fc.integer({ min: 1, max: 16 }),
      fc.boolean(),
      async (sizes, size, eager) => {
        const found = await all(pieces(chunksOf(sizes), size, eager));
        const expected = Buffer.concat(await all(chunksOf(sizes)));
        assert.deepEqual(Buffer.concat(found), expected);
        assert.ok(found.every(({ length }) => length > 0 && length <= size));
        if (!eager) assert.ok(found.slice(0, -1).every(({ length }) => length === size));
      },
    ),
  );
});

test("an eager reader gets what has come", async () => {
  const found = await all(pieces(chunksOf([3, 10, 1]), 4, true));
  assert.deepEqual(
    found.map(({ length }) => length),
    [3, 4, 4, 2, 1],
  );
});
