import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import type { OutboxRow } from "../../../src/outbox/outbox-row.ts";
import { Refusals } from "../../../src/outbox/refusals.ts";

const middle = (): number => 0.5;

function row(seq: number, topic = "orders", key: string | null = null): OutboxRow {
  return { seq: BigInt(seq), ageMs: 0, id: String(seq), topic, key, type: "t", headers: "{}", body: null };
}

const nothing = { topics: [], seqs: [], keys: [] };

describe("rows that a broker refuses", () => {
  for (const code of [Code.InvalidArgument, Code.ResourceExhausted]) {
    test(`${Code[code]}: the row waits alone, and is dead at the fifth time, after 35 s`, () => {
      const refusals = new Refusals(middle);
      const pausesMs: number[] = [];
      let nowMs = 0;
      for (;;) {
        const result = refusals.refused(row(1), code, nowMs);
        if (result === "dead") break;
        assert.equal(result, "refused");
        assert.deepEqual(refusals.waiting(nowMs), { ...nothing, seqs: [1n] });
        const beganMs = nowMs;
        while (refusals.waiting(nowMs).seqs.length > 0) nowMs += 100;
        pausesMs.push(nowMs - beganMs);
      }
      assert.deepEqual(pausesMs, [1_000, 4_000, 10_000, 20_000]);
      assert.deepEqual(refusals.waiting(0), nothing);
    });
  }

  test("a row with a key holds the later ones of its key, and is published alone of them", () => {
    const refusals = new Refusals(middle);
    refusals.refused(row(2, "orders", "a"), Code.InvalidArgument, 0);
    assert.deepEqual(refusals.waiting(999).keys, [{ topic: "orders", key: "a" }]);
    assert.deepEqual(refusals.waiting(1_000), nothing);
    const rows = [
      row(1, "orders", "b"),
      row(2, "orders", "a"),
      row(3, "orders", "a"),
      row(4, "others", "a"),
      row(5),
    ];
    const ready = refusals.ready(rows).map(({ seq }) => Number(seq));
    assert.deepEqual(ready, [1, 2, 4, 5]);
    refusals.taken(row(2, "orders", "a"));
    assert.equal(refusals.ready(rows).length, rows.length);
  });

  for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.Internal]) {
    test(`${Code[code]}: the topic waits, ever longer, and no row is ever dead`, () => {
      const refusals = new Refusals(middle);
      let nowMs = 0;
      const pausesMs: number[] = [];
      for (let time = 0; time < 8; time++) {
        // Those of one batch are one refusal.
        for (const seq of [1, 2, 3]) assert.equal(refusals.refused(row(seq), code, nowMs), "unavailable");
        assert.deepEqual(refusals.waiting(nowMs), { ...nothing, topics: ["orders"] });
        const beganMs = nowMs;
        while (refusals.waiting(nowMs).topics.length > 0) nowMs += 100;
        pausesMs.push(nowMs - beganMs);
      }
      assert.deepEqual(pausesMs, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
      refusals.taken(row(1));
      refusals.refused(row(2), code, nowMs);
      assert.deepEqual(refusals.waiting(nowMs + 1_000), nothing);
    });
  }

  for (const code of [Code.PermissionDenied, Code.FailedPrecondition]) {
    test(`${Code[code]}: the topic waits and the row is counted`, () => {
      const refusals = new Refusals(middle);
      const results = [0, 1, 2, 3, 4].map((time) => refusals.refused(row(1), code, time * 60_000));
      assert.deepEqual(results, [...Array.from({ length: 4 }, () => "refused"), "dead"]);
      assert.deepEqual(refusals.waiting(240_000).topics, ["orders"]);
    });
  }
});
