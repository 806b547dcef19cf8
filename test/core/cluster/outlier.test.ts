import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  OutageRecord,
  outlierDefaults,
  type EjectionHost,
  type EjectionReason,
  type OutlierOptions,
} from "../../../src/core/cluster/outlier.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

/** One endpoint, and what happens to it. */
class Scene implements EjectionHost<string> {
  readonly clock = new VirtualClock(1_000_000);
  readonly reasons: EjectionReason[] = [];
  readonly record: OutageRecord<string>;
  returns = 0;
  allowed = true;

  constructor(options: Partial<OutlierOptions> = {}) {
    this.record = new OutageRecord("endpoint", { ...outlierDefaults, ...options }, this.clock, this);
  }

  mayEject(): boolean {
    return this.allowed;
  }

  ejected(_: string, reason: EjectionReason): void {
    this.reasons.push(reason);
  }

  returned(): void {
    this.returns++;
  }

  calls(count: number, verdict: "success" | "failure" | "outage" | "nothing"): void {
    for (let call = 0; call < count; call++) this.record.count(verdict, this.clock.nowMs());
  }

  get forMs(): number {
    return this.record.ejectedForMs(this.clock.nowMs());
  }
}

describe("ejection", () => {
  test("after 5 failures in a row, for 30 s", () => {
    const scene = new Scene();
    scene.calls(4, "outage");
    scene.calls(1, "success");
    scene.calls(4, "outage");
    assert.equal(scene.record.isEjected, false);
    scene.calls(1, "outage");
    assert.deepEqual(scene.reasons, ["consecutive_failures"]);
    assert.equal(scene.forMs, 30_000);
    scene.clock.advance(29_999);
    assert.equal(scene.record.isEjected, true);
    assert.equal(scene.returns, 0);
    scene.clock.advance(1);
    assert.equal(scene.record.isEjected, false);
    assert.equal(scene.returns, 1);
  });

  for (const verdict of ["failure", "success"] as const) {
    test(`an answer that is a ${verdict} ends a row: the endpoint serves`, () => {
      const scene = new Scene();
      scene.calls(4, "outage");
      scene.calls(1, verdict);
      scene.calls(4, "outage");
      assert.deepEqual(scene.reasons, []);
    });
  }

  test("what says nothing counts for nothing: callers that cancel, short deadlines, attempts that were not sent", () => {
    const scene = new Scene({ minCalls: 1 });
    scene.calls(10_000, "nothing");
    scene.calls(4, "outage");
    scene.calls(10_000, "nothing");
    assert.equal(scene.record.isEjected, true, "by ratio alone");
    assert.deepEqual(scene.reasons, ["failure_ratio"]);
  });

  test("at the ratio of an interval with calls enough", () => {
    const scene = new Scene({ consecutiveFailures: 100 });
    for (let call = 0; call < 8; call++) {
      scene.calls(5, "outage");
      scene.calls(1, "success");
    }
    assert.deepEqual(scene.reasons, [], "48 calls");
    scene.calls(1, "outage");
    assert.deepEqual(scene.reasons, [], "41 of 49");
    scene.calls(1, "success");
    scene.calls(20, "outage");
    assert.deepEqual(scene.reasons, ["failure_ratio"]);
  });

  test("an endpoint without one success is above any ratio", () => {
    const scene = new Scene({ consecutiveFailures: 1_000, failureRatio: 1 });
    scene.calls(49, "outage");
    assert.equal(scene.record.isEjected, false);
    scene.calls(1, "outage");
    assert.equal(scene.record.isEjected, true);
  });

  test("an interval begins with its first call, and forgets the one before", () => {
    const scene = new Scene({ consecutiveFailures: 1_000 });
    scene.calls(49, "outage");
    scene.clock.advance(10_000);
    scene.calls(49, "outage");
    assert.equal(scene.record.isEjected, false);
  });

  test("each further one lasts longer, up to 300 s, and good intervals are credited", () => {
    const scene = new Scene();
    const lengths: number[] = [];
    const again = (): void => {
      scene.calls(5, "outage");
      lengths.push(scene.forMs);
      scene.clock.advance(scene.forMs);
    };
    for (let time = 0; time < 12; time++) again();
    assert.deepEqual(lengths.slice(0, 3), [30_000, 60_000, 90_000]);
    assert.deepEqual(lengths.slice(-3), [300_000, 300_000, 300_000]);
    lengths.length = 0;
    scene.clock.advance(10 * 10_000);
    again();
    assert.deepEqual(lengths, [90_000], "12, less 10, and once more");
    scene.clock.advance(100_000);
    again();
    assert.equal(lengths.at(-1), 30_000);
  });

  test("what may not be ejected is as soon as it may", () => {
    const scene = new Scene();
    scene.allowed = false;
    scene.calls(20, "outage");
    assert.deepEqual(scene.reasons, []);
    scene.allowed = true;
    scene.calls(1, "outage");
    assert.deepEqual(scene.reasons, ["consecutive_failures"]);
    scene.calls(20, "outage");
    assert.equal(scene.reasons.length, 1, "an ejected one is not ejected");
  });

  test("an endpoint that is gone does not return", () => {
    const scene = new Scene();
    scene.calls(5, "outage");
    scene.record.close();
    scene.clock.advance(1_000_000);
    assert.equal(scene.returns, 0);
  });

  test("as a simple model of it does, over outcomes by chance", () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = seeded(seed);
      const scene = new Scene();
      const outcomes: { readonly atMs: number; readonly out: boolean }[] = [];
      let row = 0;
      let intervalFrom = Number.NEGATIVE_INFINITY;
      let expected = 0;
      for (let call = 0; call < 5_000; call++) {
        scene.clock.advance(random() * 400);
        if (scene.record.isEjected) {
          scene.clock.advance(scene.forMs);
          outcomes.length = row = 0;
        }
        const atMs = scene.clock.nowMs();
        const out = random() < 0.4;
        if (atMs - intervalFrom >= 10_000) {
          intervalFrom = atMs;
          outcomes.length = 0;
        }
        outcomes.push({ atMs, out });
        row = out ? row + 1 : 0;
        const outs = outcomes.filter((outcome) => outcome.out).length;
        if (out && (row >= 5 || (outcomes.length >= 50 && outs >= 0.85 * outcomes.length))) expected++;
        scene.calls(1, out ? "outage" : "success");
        assert.equal(scene.reasons.length, expected, `seed ${seed}, call ${call}`);
      }
      assert.ok(expected > 10);
    }
  });
});
