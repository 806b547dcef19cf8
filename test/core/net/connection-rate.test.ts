import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionRate } from "../../../src/core/net/connection-rate.ts";

test("a tenth of a second's connections may come at once, then evenly", () => {
  let nowMs = 0;
  const rate = new ConnectionRate(() => nowMs);
  const admitted = (count: number): number =>
    Array.from({ length: count }, () => rate.admits(100)).filter(Boolean).length;
  assert.equal(admitted(50), 10);
  nowMs = 10;
  assert.equal(admitted(50), 1);
  nowMs = 5_000;
  assert.equal(admitted(50), 10);
  let all = 0;
  for (; nowMs < 15_000; nowMs++) all += admitted(1);
  assert.ok(Math.abs(all - 1_000) <= 10, String(all));
});

test("one in a second comes, the next one after a second", () => {
  let nowMs = 0;
  const rate = new ConnectionRate(() => nowMs);
  assert.deepEqual([rate.admits(1), rate.admits(1)], [true, false]);
  nowMs = 1_000;
  assert.equal(rate.admits(1), true);
});
