import assert from "node:assert/strict";
import { test } from "node:test";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { drainInTurn } from "../../../src/hub/connections/drain.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

/** When each of several connections ends, and after how long its client comes back, in milliseconds. */
function drained(count: number, graceMs: number, options = { perSecond: 1_000, maxMs: 12_000 }) {
  const clock = new VirtualClock();
  const ended: { readonly atMs: number; readonly retryMs: number }[] = [];
  const all = Array.from({ length: count }, () => ({
    end: (error: Parameters<typeof retryAfterMsOf>[0]) =>
      void ended.push({ atMs: clock.nowMs(), retryMs: retryAfterMsOf(error) ?? -1 }),
  }));
  const endAll = drainInTurn(all, options, graceMs, clock, seeded(7));
  return { clock, ended, endAll };
}

test("R17: one ends at once, hundred within a tenth of a second, five thousand in turn", () => {
  const one = drained(1, 15_000);
  assert.deepEqual(
    one.ended.map(({ atMs }) => atMs),
    [0],
  );
  assert.equal(one.clock.nextMs, undefined);
  const hundred = drained(100, 15_000);
  hundred.clock.advance(120);
  assert.equal(hundred.ended.length, 100);
  const many = drained(5_000, 15_000);
  many.clock.advance(6_000);
  assert.equal(many.ended.length, 5_000);
  assert.equal(many.clock.nextMs, undefined);
  for (let second = 0; second < 5; second++) {
    const inSecond = many.ended.filter(({ atMs }) => Math.floor(atMs / 1_000) === second).length;
    assert.ok(inSecond >= 800 && inSecond <= 1_200, `${inSecond} in second ${second}`);
  }
  // Those that come back: at most twice as many as end, in any tenth of a second.
  const back = many.ended.map(({ atMs, retryMs }) => atMs + retryMs).toSorted((a, b) => a - b);
  for (let place = 0; place + 200 < back.length; place++) {
    assert.ok((back[place + 200] ?? 0) - (back[place] ?? 0) >= 100, `from ${back[place]} ms`);
  }
});

test("R17: the grace period and maxMs bound the time, and what is left can be ended at once", () => {
  const short = drained(5_000, 1_000);
  short.clock.advance(820);
  assert.equal(short.ended.length, 5_000);
  const none = drained(5_000, 0);
  assert.equal(none.ended.length, 5_000);
  const slow = drained(100, 60_000, { perSecond: 1, maxMs: 2_000 });
  slow.clock.advance(1_000);
  assert.ok(Math.abs(slow.ended.length - 51) <= 1, String(slow.ended.length));
  slow.endAll();
  assert.equal(slow.ended.length, 100);
  assert.equal(slow.clock.nextMs, undefined);
});
