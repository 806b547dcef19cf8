import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { quantile } from "../../src/app/statistics.ts";
import { durationBuckets } from "../../src/core/telemetry/metric-list.ts";

/** A histogram with counts at some of its upper bounds, in seconds; Infinity for what is above the last. */
function histogram(counts: Readonly<Record<string, number>>): readonly number[] {
  return [...durationBuckets, Infinity].map((bound) => counts[String(bound)] ?? 0);
}

suite("quantiles of a histogram, in seconds", () => {
  for (const [what, counts, share, expected] of [
    ["none", {}, 0.5, 0],
    ["one bucket: evenly spread", { "0.01": 10 }, 0.5, 0.0075],
    ["the whole of the first bucket", { "0.001": 4 }, 1, 0.001],
    ["at the end of a bucket", { "0.001": 5, "0.01": 5 }, 0.5, 0.001],
    ["in the second one of two", { "0.001": 5, "0.01": 5 }, 0.9, 0.009],
    ["above all bounds: the last one", { Infinity: 3 }, 0.5, 30],
  ] as const) {
    test(what, () => assert.ok(Math.abs(quantile(histogram(counts), share) - expected) < 1e-9));
  }
});
