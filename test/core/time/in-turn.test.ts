import assert from "node:assert/strict";
import { test } from "node:test";
import { inTurn, leaveSpreadMs } from "../../../src/core/time/in-turn.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

test("the first has its turn at once, the others evenly, and then it is done", async () => {
  const clock = new VirtualClock();
  const times: number[] = [];
  const { done } = inTurn(100, 1_000, clock, (index) => (times[index] = clock.nowMs()));
  assert.deepEqual(times, [0]);
  clock.advance(1_000);
  await done;
  assert.equal(times.length, 100);
  assert.equal(clock.nextMs, undefined);
  for (const [index, atMs] of times.entries())
    assert.ok(Math.abs(atMs - index * 10) <= 20, `${index}: ${atMs} ms`);
});

test("none are done at once, and what is left can have its turn now", async () => {
  const clock = new VirtualClock();
  await inTurn(0, 1_000, clock, () => assert.fail()).done;
  let count = 0;
  const turn = inTurn(50, 1_000, clock, () => count++);
  clock.advance(500);
  assert.ok(count >= 24 && count <= 26, String(count));
  turn.finish();
  await turn.done;
  assert.equal(count, 50);
  assert.equal(clock.nextMs, undefined);
});

for (const [count, graceMs, spreadMs] of [
  [0, 15_000, 0],
  [1, 15_000, 0],
  [100, 15_000, 100],
  [10_000, 15_000, 10_000],
  [100_000, 15_000, 12_000],
  [100_000, 1_000, 800],
  [100_000, 0, 0],
] as const) {
  test(`${count} clients leave within ${spreadMs} ms at a grace period of ${graceMs} ms`, () => {
    assert.equal(leaveSpreadMs(count, { perSecond: 1_000, maxMs: 12_000 }, graceMs), spreadMs);
  });
}
