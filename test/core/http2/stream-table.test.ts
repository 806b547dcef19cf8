import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { StreamTable } from "../../../src/core/http2/stream-table.ts";

test("a table of streams has what a map by their numbers has, whatever comes and goes", () => {
  // Numbers that are far apart, and such that belong in the same slot.
  const id = fc.oneof(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 2 ** 30 - 1 })).map(odd);
  fc.assert(
    fc.property(fc.array(fc.record({ add: fc.boolean(), id }), { maxLength: 300 }), (changes) => {
      const table = new StreamTable();
      const model = new Map<number, { readonly id: number }>();
      for (const { add, id } of changes) {
        if (!add) assert.equal(table.delete(id), model.delete(id));
        else if (!model.has(id)) {
          const stream = { id };
          table.add(stream);
          model.set(id, stream);
        }
        assert.equal(table.size, model.size);
        for (const one of [id, id + 2, 1, 33]) assert.equal(table.get(one), model.get(one));
      }
      assert.deepEqual(
        [...table],
        [...model.values()].toSorted((one, other) => one.id - other.id),
      );
      for (const { id } of table) assert.ok(table.delete(id)); // Leaving while all are looked at misses none.
      assert.equal(table.size, 0);
      assert.equal(table.get(1), undefined);
    }),
  );
});

test("a stream that stays is found while a hundred thousand others come and go", () => {
  const table = new StreamTable();
  const open: { readonly id: number }[] = [];
  const first = { id: 1 };
  table.add(first);
  for (let id = 3; id < 200_000; id += 2) {
    const stream = { id };
    table.add(stream);
    open.push(stream);
    if (open.length > 100) assert.ok(table.delete(open.shift()?.id ?? 0));
    assert.equal(table.get(1), first);
    assert.equal(table.get(id), stream);
  }
  assert.equal(table.size, 101);
  for (const { id } of open) assert.ok(table.delete(id));
  assert.deepEqual([...table], [first]);
});

test("streams that have closed do not fill the old generation", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // As the flag names it.
  const table = new StreamTable<{ readonly id: number; readonly call: number[] }>();
  const turnOver = (from: number, to: number): void => {
    for (let id = from; id < to; id += 2) {
      table.add({ id, call: Array.from({ length: 100 }, () => id) });
      if (id > 128) table.delete(id - 128);
    }
  };
  turnOver(1, 1_000);
  collect(); // Now the table is in the old generation.
  const before = oldBytes();
  turnOver(1_001, 100_001);
  const grown = oldBytes() - before;
  assert.ok(grown < 10_000_000, `${grown} bytes of 40 MB`); // A `Map` keeps about all of them.
});

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === "old_space")?.space_used_size ?? 0;
}

function odd(half: number): number {
  return 2 * half + 1;
}
