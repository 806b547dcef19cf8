import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Live, LiveSet } from "../../../src/core/call/live-set.ts";

class Thing implements Live {
  livePlace = -1;
}

test("a live set has what a set has, whatever comes and goes", () => {
  const things = Array.from({ length: 8 }, () => new Thing());
  const change = fc.record({ add: fc.boolean(), which: fc.nat({ max: things.length - 1 }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const live = new LiveSet<Thing>();
      const model = new Set<Thing>();
      for (const { add, which } of changes) {
        const thing = things[which];
        assert.ok(thing);
        if (add) {
          live.add(thing);
          model.add(thing);
        } else {
          live.delete(thing);
          model.delete(thing);
        }
        assert.equal(live.size, model.size);
        assert.deepEqual(new Set(live), model);
      }
      for (const thing of live) live.delete(thing); // Leaving while all are looked at misses none.
      assert.equal(live.size, 0);
      assert.ok(things.every(({ livePlace }) => livePlace === -1));
    }),
  );
});

test("who waits for the last to go hears of it once, and at once where nothing is there", async () => {
  const live = new LiveSet<Thing>();
  await live.idle();
  const [a, b] = [new Thing(), new Thing()];
  live.add(a);
  live.add(b);
  const heard: string[] = [];
  const waits = ["first", "second"].map((name) => live.idle().then(() => heard.push(name)));
  live.delete(a);
  await Promise.resolve();
  assert.deepEqual(heard, []);
  live.delete(b);
  live.delete(b);
  await Promise.all(waits);
  assert.deepEqual(heard, ["first", "second"]);
});
