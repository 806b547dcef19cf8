import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import { HedgeBooks, Hedges, type HedgeRules } from "../../../src/core/resilience/hedge.ts";
import { LatencyQuantile } from "../../../src/core/resilience/latency-quantile.ts";
import { RetryBudget } from "../../../src/core/resilience/retry-budget.ts";
import { seeded } from "../../support/virtual-clock.ts";

const rules: HedgeRules = {
  maxAttempts: 3,
  delay: { ms: 100 },
  codes: new Set([Code.Unavailable]),
  maxExtra: 0.05,
};

/** Books in which 1,000 calls have begun, so that there is room for 50 further attempts. */
function books(more: Partial<HedgeRules> = {}, budget = new RetryBudget()): HedgeBooks {
  const all = new HedgeBooks({ ...rules, ...more }, budget);
  for (let call = 0; call < 1_000; call++) all.began(0);
  return all;
}

suite("a hedged call", () => {
  test("begins its attempts one delay after another", () => {
    const call = new Hedges(books(), 0);
    assert.equal(call.nextMs, 100);
    assert.equal(call.due(100, true), true);
    assert.equal(call.nextMs, 200);
    assert.equal(call.due(205, true), true);
    assert.equal(call.nextMs, undefined);
    assert.equal(call.due(400, true), false);
  });

  test("begins the next one at once on a code of the list, the delay counts from there", () => {
    const call = new Hedges(books(), 0);
    assert.deepEqual(call.failed(Code.Unavailable, undefined, 30, true), { kind: "next" });
    assert.equal(call.nextMs, 130);
  });

  test("ends with the first good or fatal outcome; later ones change nothing", () => {
    for (const end of [
      (call: Hedges) => call.succeeded(5),
      (call: Hedges) => call.failed(Code.NotFound, undefined, 105, true),
    ]) {
      const call = new Hedges(books(), 0);
      call.due(100, true);
      assert.deepEqual(end(call), { kind: "outcome" });
      assert.equal(call.nextMs, undefined);
      assert.equal(call.due(200, true), false);
      assert.deepEqual(call.succeeded(9), { kind: "wait" });
      assert.deepEqual(call.failed(Code.Unavailable, undefined, 300, true), { kind: "wait" });
    }
  });

  test("waits for attempts under way, and ends with the last error at once", () => {
    const call = new Hedges(books({ maxAttempts: 2 }), 0);
    call.due(100, true);
    assert.deepEqual(call.failed(Code.Unavailable, undefined, 110, true), { kind: "wait" });
    assert.deepEqual(call.failed(Code.Unavailable, undefined, 120, true), { kind: "outcome" });
  });

  test("with no endpoint that it has not tried there is no further attempt (grpc-java#7222)", () => {
    const call = new Hedges(books(), 0);
    assert.equal(call.due(100, false), false);
    assert.deepEqual(call.failed(Code.Unavailable, undefined, 110, false), { kind: "outcome" });
  });

  test("a server may delay the next attempt, or stop all further ones", () => {
    const delayed = new Hedges(books(), 0);
    assert.deepEqual(delayed.failed(Code.Unavailable, 700, 10, true), { kind: "wait" });
    assert.equal(delayed.nextMs, 710);
    assert.equal(delayed.due(710, true), true);
    const stopped = new Hedges(books(), 0);
    assert.deepEqual(stopped.failed(Code.Unavailable, "never", 10, true), { kind: "outcome" });
    const running = new Hedges(books(), 0);
    running.due(100, true);
    assert.deepEqual(running.failed(Code.Unavailable, "never", 110, true), { kind: "wait" });
    assert.equal(running.nextMs, undefined);
  });

  test("further attempts stay within their share of calls, and in the budget", () => {
    const shared = books({}, new RetryBudget({ reserve: 1_000 }));
    let extra = 0;
    for (let call = 0; call < 100; call++) if (new Hedges(shared, 0).due(100, true)) extra++;
    assert.equal(extra, 55);
    const poor = books({}, new RetryBudget({ reserve: 1, ratio: 0 }));
    assert.equal(new Hedges(poor, 0).due(100, true), true);
    assert.equal(new Hedges(poor, 0).due(100, true), false);
  });

  test("p95 needs a hundred durations of calls", () => {
    const shared = books({ delay: { quantile: 0.95 } });
    for (let call = 1; call < 100; call++) shared.succeeded(call);
    assert.equal(new Hedges(shared, 0).nextMs, undefined);
    shared.succeeded(100);
    const { nextMs = 0 } = new Hedges(shared, 0);
    assert.ok(nextMs >= 95 && nextMs < 95 * 1.1, String(nextMs));
  });
});

test("a quantile is right within 7 %, and follows the last samples", () => {
  const quantile = new LatencyQuantile(0.95, 100);
  assert.equal(quantile.valueMs, undefined);
  const random = seeded(3);
  for (let sample = 0; sample < 5_000; sample++) quantile.add(1 + 99 * random());
  const slow = quantile.valueMs ?? 0;
  assert.ok(slow > 92 && slow < 105, String(slow));
  for (let sample = 0; sample < 1_024; sample++) quantile.add(0.5);
  const fast = quantile.valueMs ?? 0;
  assert.ok(fast >= 0.5 && fast < 0.54, String(fast));
  for (const odd of [0, -1, 1e12]) quantile.add(odd);
  assert.ok(Number.isFinite(quantile.valueMs));
});
