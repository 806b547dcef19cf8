import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EndedSessions, type SessionName } from "../../../src/gateway/session/ended-sessions.ts";

/** A list of so many at most, with a clock that stands still. */
function listOf(max: number): {
  readonly list: EndedSessions;
  readonly clock: { nowMs: number };
  readonly seen: { ends: number; full: number };
} {
  const clock = { nowMs: 1_000 };
  const seen = { ends: 0, full: 0 };
  const list = new EndedSessions({
    redis: undefined,
    wallMs: () => clock.nowMs,
    onEnd: () => seen.ends++,
    onFull: () => seen.full++,
    max,
  });
  return { list, clock, seen };
}

function session(jti: string, exp: number): SessionName {
  return { jti, exp: BigInt(exp) };
}

suite("S3 sessions that have ended", () => {
  test("are nobody's until they would have ended", () => {
    const { list, clock, seen } = listOf(10);
    const one = session("one", 5_000);
    assert.equal(list.find(one), false);
    void list.end(one);
    assert.deepEqual([list.find(one), list.watch(one), seen.ends], [true, true, 1]);
    assert.equal(list.find(session("two", 5_000)), false);
    clock.nowMs = 5_000;
    void list.end(session("two", 9_000));
    assert.equal(list.find(one), false); // It ends by its own time.
    void list.end(session("past", 4_000));
    assert.equal(seen.ends, 2);
  });

  test("are not forgotten where there is no space for more: older sessions end with them", () => {
    const { list, seen } = listOf(3);
    for (let i = 0; i < 10; i++) void list.end(session(`${i}`, 5_000 + i));
    for (let i = 0; i < 10; i++) assert.equal(list.find(session(`${i}`, 5_000 + i)), true, String(i));
    assert.equal(seen.full, 1);
    assert.equal(list.find(session("bystander", 5_006)), true);
    assert.equal(list.find(session("younger", 5_011)), false);
  });
});
