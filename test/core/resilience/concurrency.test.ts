import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { Concurrency, type LeavePlace } from "../../../src/core/resilience/concurrency.ts";
import { failure } from "../../support/failure.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function rig(max: number, queue: number, queueTimeoutMs = 1_000) {
  const clock = new VirtualClock();
  return { clock, limit: new Concurrency("users", { max, queue, queueTimeoutMs }, clock) };
}

test("calls beyond the limit wait in their order, those beyond the queue are refused at once", async () => {
  const { limit } = rig(1, 2);
  const leave = await limit.enter();
  const order: number[] = [];
  const waiting = [1, 2].map(async (call) => {
    const next = await limit.enter();
    order.push(call);
    return next;
  });
  const error = await failure(limit.enter(), Code.Unavailable);
  assert.equal(error.rawMessage, "users: 1 calls under way and 2 waiting");
  assert.equal(retryAfterMsOf(error), 1_000);
  assert.equal(limit.tryEnter(), undefined);
  leave();
  leave();
  const [first, second] = waiting;
  (await first)?.();
  (await second)?.();
  assert.deepEqual([order, limit.running, limit.waiting], [[1, 2], 0, 0]);
  limit.tryEnter()?.();
});

test("a call waits for its time at most", async () => {
  const { limit, clock } = rig(1, 10, 1_000);
  const leave = await limit.enter();
  const early = failure(limit.enter(), Code.Unavailable);
  await clock.pass(600);
  const late = failure(limit.enter(), Code.Unavailable);
  await clock.pass(400);
  assert.match((await early).rawMessage, /1 calls under way and 2 waiting/);
  assert.equal(limit.waiting, 1);
  await clock.pass(600);
  await late;
  assert.deepEqual([limit.waiting, clock.nextMs], [0, undefined]);
  leave();
  assert.equal(limit.running, 0);
});

test("a call that its caller cancels leaves the queue", async () => {
  const { limit } = rig(1, 10);
  const leave = await limit.enter();
  const controller = new AbortController();
  const cancelled = failure(limit.enter(controller.signal), Code.DeadlineExceeded);
  const other = limit.enter();
  controller.abort(new ConnectError("late", Code.DeadlineExceeded));
  await cancelled;
  assert.equal(limit.waiting, 1);
  leave();
  (await other)();
  assert.equal(limit.running, 0);
  await failure(limit.enter(controller.signal), Code.DeadlineExceeded);
});

test("whatever calls do, never more than the limit run, and no place is lost", async () => {
  const step = fc.oneof(
    fc.constant("enter" as const),
    fc.constant("leave" as const),
    fc.constant("cancel" as const),
    fc.constant("wait" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { limit, clock } = rig(3, 4, 100);
      const places: LeavePlace[] = [];
      const cancels: AbortController[] = [];
      const calls: Promise<void>[] = [];
      for (const kind of steps) {
        if (kind === "enter") {
          const cancel = new AbortController();
          cancels.push(cancel);
          calls.push(
            limit.enter(cancel.signal).then(
              (leave) => void places.push(leave),
              () => {},
            ),
          );
        } else if (kind === "leave") places.shift()?.();
        else if (kind === "cancel") cancels.shift()?.abort();
        else clock.advance(60);
        await Promise.resolve();
        await Promise.resolve();
        await Promise.resolve();
        assert.ok(limit.running <= 3 && limit.waiting <= 4);
        assert.ok(limit.running === 3 || limit.waiting === 0, "a place is free while a call waits");
      }
      clock.advance(1_000);
      for (const cancel of cancels) cancel.abort();
      await Promise.all(calls);
      for (const leave of places) leave();
      assert.deepEqual([limit.running, limit.waiting, clock.nextMs], [0, 0, undefined]);
    }),
    { numRuns: 50 },
  );
});
