import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Lanes, type Then } from "../../src/messaging/lanes.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

interface Item {
  readonly key: string | undefined;
  readonly place: number;
  tries: number;
}

/** Lanes whose runs a test ends, and what they have done. */
class Model {
  readonly clock = new VirtualClock();
  readonly running = new Map<Item, (then: Then) => void>();
  readonly done: Item[] = [];
  readonly left: Item[] = [];
  readonly lanes: Lanes<Item>;
  mayRun = true;

  constructor(concurrency: number) {
    this.lanes = new Lanes<Item>({
      clock: this.clock,
      concurrency,
      mayRun: () => this.mayRun,
      left: (item) => this.left.push(item),
      run: (item, ended) => {
        for (const other of this.running.keys()) {
          assert.ok(item.key === undefined || other.key !== item.key, "two of one key run");
        }
        assert.ok(this.running.size < concurrency);
        item.tries++;
        this.running.set(item, ended);
      },
    });
  }

  end(item: Item, then: Then): void {
    const ended = this.running.get(item);
    assert.ok(ended !== undefined);
    this.running.delete(item);
    if (then === "done") this.done.push(item);
    ended(then);
  }
}

suite("lanes:", () => {
  for (let seed = 1; seed <= 200; seed++) {
    test(`19 order within keys, bounds, and nothing lost: seed ${seed}`, () => {
      const random = seeded(seed);
      const pick = (below: number): number => Math.floor(random() * below);
      const model = new Model(1 + pick(6));
      const { lanes, clock, running } = model;
      const added: Item[] = [];
      const taken: Item[] = [];
      for (let step = 0; step < 300; step++) {
        const [first] = running.keys();
        switch (pick(8)) {
          case 0:
          case 1:
          case 2: {
            const key = pick(3) === 0 ? undefined : `k${pick(5)}`;
            const item = { key, place: added.length, tries: 0 };
            added.push(item);
            lanes.add(key, item);
            break;
          }
          case 3:
          case 4: {
            const item = [...running.keys()][pick(running.size)];
            if (item !== undefined) model.end(item, "done");
            break;
          }
          case 5:
            if (first !== undefined) model.end(first, { againAfterMs: pick(3) * 100 });
            break;
          case 6:
            clock.advance(pick(200));
            break;
          default: {
            model.mayRun = pick(4) > 0;
            if (model.mayRun) lanes.wake();
            if (pick(10) > 0) break;
            const place = pick(Math.max(1, added.length));
            taken.push(
              ...(pick(2) === 0
                ? lanes.take((item) => item.place === place)
                : lanes.takeOnly((item) => item.place === place)),
            );
          }
        }
        assert.equal(lanes.running, running.size);
      }
      model.mayRun = true;
      lanes.wake();
      while (running.size > 0 || lanes.held > 0) {
        for (const item of [...running.keys()]) model.end(item, "done");
        clock.advance(300);
      }
      assert.equal(lanes.size, 0);
      assert.equal(model.done.length + taken.length, added.length);
      for (let key = 0; key < 5; key++) {
        const places = model.done.filter((item) => item.key === `k${key}`).map(({ place }) => place);
        assert.deepEqual(
          places,
          places.toSorted((a, b) => a - b),
        );
      }
    });
  }

  test("a held lane takes no place of those that run, and lanes take turns", () => {
    const model = new Model(1);
    const items = ["a", "a", "b", "b"].map((key, place) => ({ key, place, tries: 0 }));
    for (const item of items) model.lanes.add(item.key, item);
    const [a1, a2, b1, b2] = items;
    assert.ok(a1 && a2 && b1 && b2);
    model.end(a1, { againAfterMs: 100 });
    assert.deepEqual([...model.running.keys()], [b1]);
    model.end(b1, "done");
    model.clock.advance(100);
    assert.deepEqual([...model.running.keys()], [b2]);
    model.end(b2, "done");
    assert.deepEqual([...model.running.keys()], [a1]);
    model.end(a1, "done");
    model.end(a2, "done");
    assert.deepEqual(
      model.done.map(({ place }) => place),
      [2, 3, 0, 1],
    );
  });

  test("closed lanes begin nothing, and give what would run again back", () => {
    const model = new Model(2);
    const items = ["a", "a", "b", "c"].map((key, place) => ({ key, place, tries: 0 }));
    for (const item of items) model.lanes.add(item.key, item);
    model.lanes.close();
    const [a1, , b1] = items;
    assert.ok(a1 && b1);
    model.end(a1, { againAfterMs: 10 });
    model.end(b1, "done");
    assert.deepEqual(model.left, [a1]);
    assert.equal(model.running.size, 0);
    assert.deepEqual(
      model.lanes.take(() => true).map(({ place }) => place),
      [1, 3],
    );
    assert.equal(model.lanes.size, 0);
  });
});
