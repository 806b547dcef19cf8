import assert from "node:assert/strict";
import { test } from "node:test";
import { createContextKey, createContextValues, type ContextValues } from "@connectrpc/connect";
import { CallValues } from "../../../src/core/call/call-values.ts";

test("values of a call are those of Connect", () => {
  const keys = Array.from({ length: 4 }, (_, index) => createContextKey<number | undefined>(index * 10));
  const [first, second, third, other] = keys as [
    (typeof keys)[0],
    (typeof keys)[0],
    (typeof keys)[0],
    (typeof keys)[0],
  ];
  const read = (values: ContextValues): (number | undefined)[] => keys.map((key) => values.get(key));
  const steps: readonly ((values: ContextValues) => unknown)[] = [
    (values) => values.set(first, 1).set(second, 2).set(third, 3),
    (values) => values.set(second, 22),
    (values) => values.set(second, undefined),
    (values) => values.delete(other),
    (values) => values.delete(second),
    (values) => values.delete(third).delete(first),
    (values) => values.set(other, 4).delete(other).set(other, 5),
  ];
  const ours = new CallValues();
  const theirs = createContextValues();
  assert.deepEqual(read(ours), read(theirs));
  for (const step of steps) {
    assert.equal(step(ours), ours);
    step(theirs);
    assert.deepEqual(read(ours), read(theirs));
  }
  assert.deepEqual(read(ours), [0, 10, 20, 5]);
});
