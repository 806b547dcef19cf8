import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Pauses } from "../../../src/core/time/pauses.ts";
import { SlidingCounts } from "../../../src/core/time/sliding-counts.ts";
import { systemClock } from "../../../src/core/time/clock.ts";

test("counts are those of the current bucket and the nine before it", () => {
  const step = fc.record({ waitMs: fc.nat({ max: 900 }), kind: fc.nat({ max: 1 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const counts = new SlidingCounts(1_000, 2);
      const events: { readonly bucket: number; readonly kind: number }[] = [];
      let nowMs = 12_345;
      for (const { waitMs, kind } of steps) {
        nowMs += waitMs;
        const bucket = Math.floor(nowMs / 100);
        events.push({ bucket, kind });
        counts.add(kind, nowMs);
        for (const wanted of [0, 1]) {
          const expected = events.filter(
            (event) => event.kind === wanted && event.bucket > bucket - 10,
          ).length;
          assert.equal(counts.total(wanted, nowMs), expected);
        }
      }
      counts.clear();
      assert.equal(counts.total(0, nowMs), 0);
    }),
  );
});

test("pauses grow by their factor up to the longest, with jitter", () => {
  const backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 };
  const middle = new Pauses(backoff, () => 0.5);
  const pauses = Array.from({ length: 10 }, () => Math.round(middle.nextMs()));
  assert.deepEqual(pauses, [1000, 1600, 2560, 4096, 6554, 10486, 16777, 26844, 30000, 30000]);
  middle.reset();
  assert.equal(middle.nextMs(), 1000);
  assert.equal(Math.round(new Pauses(backoff, () => 0).nextMs()), 800);
  assert.equal(Math.round(new Pauses(backoff, () => 1).nextMs()), 1200);
});

test("the clock of the process goes on, and its timers can be cancelled", async () => {
  const before = systemClock.nowMs();
  let isCalled = false;
  systemClock.after(0, () => (isCalled = true))();
  await new Promise<void>((resolve) => {
    systemClock.after(1, resolve);
  });
  assert.equal(isCalled, false);
  assert.ok(systemClock.nowMs() > before);
});
