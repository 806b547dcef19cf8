import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { pieces } from "../../../../../src/gateway/doors/rest/files/pieces.ts";

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
        const found = await all(pieces(chunksOf(sizes), size, eager ? 0 : 60_000));
        const expected = Buffer.concat(await all(chunksOf(sizes)));
        assert.deepEqual(Buffer.concat(found), expected);
        assert.ok(found.every(({ length }) => length > 0 && length <= size));
        if (!eager) assert.ok(found.slice(0, -1).every(({ length }) => length === size));
      },
    ),
  );
});

test("an eager reader gets what has come", async () => {
  const found = await all(pieces(chunksOf([3, 10, 1]), 4, 0));
  assert.deepEqual(
    found.map(({ length }) => length),
    [3, 4, 4, 2, 1],
  );
});

/** A source whose chunks come when a test says so. */
class Feeder implements AsyncIterable<Buffer> {
  readonly #chunks = new PassThrough({ objectMode: true });

  send(text: string): void {
    this.#chunks.write(Buffer.from(text));
  }

  end(): void {
    this.#chunks.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#chunks[Symbol.asyncIterator]();
  }
}

/** The next piece as text; undefined at the end. */
async function nextOf(source: AsyncGenerator<Buffer, void, undefined>): Promise<string | undefined> {
  const { value } = await source.next();
  return value?.toString();
}

test("a piece is passed on when its first byte has waited long enough, whatever comes after", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const feeder = new Feeder();
  const found = pieces(feeder, 8, 20);
  const first = nextOf(found);
  feeder.send("ab");
  await turn();
  t.mock.timers.tick(19);
  feeder.send("cd");
  await turn();
  t.mock.timers.tick(1);
  assert.equal(await first, "abcd");
  feeder.send("0123456789");
  assert.equal(await nextOf(found), "01234567");
  const rest = nextOf(found);
  await turn();
  t.mock.timers.tick(19);
  feeder.send("!");
  feeder.end();
  assert.equal(await rest, "89!");
  assert.equal(await nextOf(found), undefined);
});

test("leaving does not wait for bytes that do not come", async () => {
  const feeder = new Feeder();
  const found = pieces(feeder, 8, 1);
  feeder.send("ab");
  assert.equal(await nextOf(found), "ab");
  assert.deepEqual(await found.return(), { done: true, value: undefined });
});

test("what is wrong with the source ends the pieces", async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from("ab");
    throw new Error("broken");
  }
  const found = pieces(broken(), 8, 60_000);
  await assert.rejects(found.next(), /broken/);
});

/** What is ready has happened after it. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
