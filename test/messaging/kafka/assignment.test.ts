import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { assign, type Member, type Partitions } from "../../../src/messaging/kafka/assignment.ts";

const none: Partitions = new Map();

function member(id: string, owned: Partitions = none, generation = -1, topics = ["t"]): Member {
  return { id, topics, owned, generation };
}

function shares(
  assigned: ReadonlyMap<string, Partitions>,
): Record<string, Record<string, readonly number[]>> {
  return Object.fromEntries([...assigned].map(([id, partitions]) => [id, Object.fromEntries(partitions)]));
}

suite("37 the partitions of Kafka's topics among the readers of a group", () => {
  test("one reader has all of them", () => {
    assert.deepEqual(shares(assign([member("a")], new Map([["t", 3]]))), { a: { t: [0, 1, 2] } });
  });

  test("they are divided equally, whatever the order in which readers are named", () => {
    const members = [member("c"), member("a"), member("b")];
    const assigned = shares(assign(members, new Map([["t", 7]])));
    const sizes = Object.values(assigned).map(({ t = [] }) => t.length);
    assert.deepEqual(
      sizes.toSorted((a, b) => a - b),
      [2, 2, 3],
    );
    assert.deepEqual(shares(assign(members.toReversed(), new Map([["t", 7]]))), assigned);
    const all = Object.values(assigned).flatMap(({ t = [] }) => t);
    assert.deepEqual(
      all.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
    );
  });

  test("a reader keeps what it has where it can, when another one joins and when one leaves", () => {
    const counts = new Map([["t", 6]]);
    const first = assign([member("a")], counts);
    const two = assign([member("a", first.get("a"), 1), member("b")], counts);
    assert.deepEqual(shares(two)["a"]?.["t"], [0, 1, 2]);
    const three = assign([member("a", two.get("a"), 2), member("b", two.get("b"), 2), member("c")], counts);
    for (const id of ["a", "b"]) {
      for (const kept of three.get(id)?.get("t") ?? []) assert.ok(two.get(id)?.get("t")?.includes(kept));
    }
    const left = assign([member("a", three.get("a"), 3), member("c", three.get("c"), 3)], counts);
    for (const id of ["a", "c"]) {
      for (const kept of three.get(id)?.get("t") ?? []) assert.ok(left.get(id)?.get("t")?.includes(kept));
    }
  });

  test("of two who say that they have a partition, the later generation has it; both of one: neither", () => {
    const counts = new Map([["t", 2]]);
    const later = assign(
      [member("a", new Map([["t", [1]]]), 4), member("b", new Map([["t", [1]]]), 5)],
      counts,
    );
    assert.deepEqual(shares(later), { a: { t: [0] }, b: { t: [1] } });
    const same = assign(
      [member("a", new Map([["t", [1]]]), 5), member("b", new Map([["t", [1]]]), 5)],
      counts,
    );
    assert.deepEqual(shares(same), { a: { t: [0] }, b: { t: [1] } });
  });

  test("a topic goes to those who read it, and small topics to those with less", () => {
    const counts = new Map([
      ["again", 1],
      ["t", 1],
    ]);
    const both = ["again", "t"];
    const assigned = shares(assign([member("a", none, -1, both), member("b", none, -1, both)], counts));
    assert.deepEqual(assigned, { a: { again: [0] }, b: { t: [0] } });
    const one = shares(assign([member("a"), member("b", none, -1, both)], counts));
    assert.deepEqual(one, { a: { t: [0] }, b: { again: [0] } });
  });
});
