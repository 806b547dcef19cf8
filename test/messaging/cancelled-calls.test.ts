import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelledCalls } from "../../src/messaging/cancelled-calls.ts";
import type { Consumed } from "../../src/messaging/consumed.ts";

/** A call of a source, as far as it is looked at. */
function call(id: string): Consumed {
  const delivery = { reply: async () => {} };
  return { identity: `/shop\n${id}`, delivery } as unknown as Consumed; // The rest is not looked at.
}

test("18 cancelled calls are remembered until their deadline, 10,000 of them at the most", () => {
  let nowMs = 1_000;
  const cancelled = new CancelledCalls([], () => nowMs);
  const cancel = (id: string, untilMs: number): void => cancelled.add({ source: "/shop", id, untilMs });
  cancel("short", 2_000);
  cancel("long", 9_000);
  assert.ok(cancelled.has(call("short")) && cancelled.has(call("long")));
  assert.ok(!cancelled.has(call("another")));
  nowMs = 3_000;
  cancel("next", 9_000); // Those that have passed are forgotten with the next one.
  assert.ok(!cancelled.has(call("short")) && cancelled.has(call("long")));
  for (let at = 0; at < 9_999; at++) cancel(String(at), 9_000);
  assert.ok(!cancelled.has(call("long")), "the oldest has made room");
  assert.ok(cancelled.has(call("next")) && cancelled.has(call("9998")));
});

test("18 a message of the same id whose caller waits for no reply is run", () => {
  const cancelled = new CancelledCalls([], () => 0);
  cancelled.add({ source: "/shop", id: "1", untilMs: 9_000 });
  const command = { identity: "/shop\n1", delivery: {} } as unknown as Consumed; // As `call`.
  assert.ok(!cancelled.has(command));
});
