import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../../src/hub/bus/memory-bus.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { doors, type Seen } from "./kept-followers.ts";
import { startKept } from "./kept-rooms.ts";

const publications = 10_000;
const clients = 200;
/** So many of them are there at a time. */
const places = 40;
/** A client stays for at most so many messages. */
const mostMessages = 120;
/** So many messages a publisher publishes at once. */
const burst = 5;

/** The number of a position in its room. */
function numberOf(position: string): number {
  return Number(position.slice(position.lastIndexOf(".") + 1));
}

test("R02: while four publishers publish and clients of all doors come and go, each has every message once, in order", async () => {
  const store = new MemoryStore();
  await using one = await startKept({ store, kept: { history: { size: 2 * mostMessages } } });
  await using two = await startKept({ store, kept: { history: { size: 2 * mostMessages } } });
  const nodes = [one, two];
  const random = seeded(20_261_201);
  const follows = Object.values(doors);
  const texts = new Map<string, string>();
  let published = 0;
  let visits = 0;
  let under = 0;
  const seen: Seen[] = [];

  const isOver = (): boolean => published >= publications && visits >= clients;
  const client = async (): Promise<void> => {
    while (!isOver()) {
      const follow = follows[visits++ % follows.length] ?? assert.fail();
      const node = nodes[Math.floor(random() * nodes.length)] ?? one;
      under++;
      try {
        seen.push(await follow(node, undefined, 1 + Math.floor(random() * mostMessages)));
      } finally {
        under--; // Publishers end, too, where a client fails.
      }
    }
  };
  const publisher = async (name: number): Promise<void> => {
    const { kept } = nodes[name % nodes.length] ?? one;
    // Until the last client has as many messages as it stays for.
    for (let count = 0; !isOver() || under > 0; count += burst) {
      const burstTexts = Array.from({ length: burst }, (_, at) => `${name}:${count + at}`);
      const receipts = await Promise.all([
        kept.publish("b", { text: "of another room" }),
        ...burstTexts.map((text) => kept.publish("a", { text })),
      ]);
      for (const [at, text] of burstTexts.entries()) texts.set(receipts[at + 1]?.position ?? "", text);
      published += burst;
      await new Promise(setImmediate);
    }
  };
  await Promise.all([
    ...Array.from({ length: places }, client),
    ...Array.from({ length: 4 }, (_, name) => publisher(name)),
  ]);

  assert.ok(seen.length >= clients);
  for (const { position, ids, texts: got } of seen) {
    const first = numberOf(ids[0] ?? "");
    if (position !== undefined) assert.equal(first, numberOf(position) + 1, "from its join on");
    assert.deepEqual(
      ids.map(numberOf),
      ids.map((_, at) => first + at),
      "every position once, in order",
    );
    assert.deepEqual(
      got,
      ids.map((id) => texts.get(id)),
      "what was published there",
    );
  }
});
