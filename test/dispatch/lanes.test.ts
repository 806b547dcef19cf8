import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { DeliveryLane, type LanePlace } from "../../src/dispatch/delivery-lane.ts";
import { DeliverySlots } from "../../src/dispatch/delivery-slots.ts";
import { queueFor } from "../../src/dispatch/task-queue.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

const { signal } = new AbortController();
const failed = { kind: "retry", error: new ConnectError("away", Code.Unavailable) } as const;

function placeOf(entered: LanePlace | number): LanePlace {
  assert.ok(typeof entered !== "number", "there is a place");
  return entered;
}

suite("lanes of deliveries, 52:", () => {
  const laneOf = (clock = new VirtualClock(), concurrency = 2) =>
    new DeliveryLane({ clock, random: seeded(1), concurrency });

  test("so many run at once, some wait in their order, and others wait elsewhere", async () => {
    const lane = laneOf();
    const [first] = [placeOf(await lane.enter(signal)), placeOf(await lane.enter(signal))];
    const order: number[] = [];
    const waiting = Array.from({ length: 16 }, (_, number) =>
      lane.enter(signal).then((entered) => {
        order.push(number);
        placeOf(entered).leave({ kind: "done" });
      }),
    );
    assert.equal(await lane.enter(signal), 1_000);
    first?.leave({ kind: "done" });
    await Promise.all(waiting);
    assert.deepEqual(
      order,
      Array.from({ length: 16 }, (_, number) => number),
    );
  });

  test("one runs while the last has failed, and as many as before when one succeeds", async () => {
    const lane = laneOf();
    placeOf(await lane.enter(signal)).leave(failed);
    const one = placeOf(await lane.enter(signal));
    assert.equal(one.isFailing, true);
    assert.equal(await lane.enter(signal), 1_000);
    one.leave({ kind: "done" });
    placeOf(await lane.enter(signal));
    placeOf(await lane.enter(signal));
  });

  test("the breaker opens after 20 tries, half of them failed, and lets a probe through", async () => {
    const clock = new VirtualClock();
    const lane = laneOf(clock);
    for (let tries = 0; tries < 20; tries++) placeOf(await lane.enter(signal)).leave(failed);
    const wait = await lane.enter(signal);
    assert.ok(typeof wait === "number" && wait >= 1_000 && wait <= 6_000);
    clock.advance(6_500);
    placeOf(await lane.enter(signal)).leave({ kind: "done" });
    placeOf(await lane.enter(signal));
  });

  test("tries that began before the breaker was there may fail after it has opened", async () => {
    const lane = laneOf(new VirtualClock(), 40);
    const places: LanePlace[] = [];
    for (let tries = 0; tries < 40; tries++) places.push(placeOf(await lane.enter(signal)));
    for (const place of places) place.leave(failed);
    assert.ok(Number(await lane.enter(signal)) >= 1_000);
  });

  test("one that waits leaves when it is aborted", async () => {
    const lane = laneOf(new VirtualClock(), 1);
    const held = placeOf(await lane.enter(signal));
    const controller = new AbortController();
    const waiting = lane.enter(controller.signal);
    controller.abort(new Error("stop"));
    await assert.rejects(waiting, /stop/);
    held.leave(undefined);
    placeOf(await lane.enter(signal));
  });

  test("slots: those that fail get half of them, and the others go past them", async () => {
    const slots = new DeliverySlots(4);
    const failing = [await slots.take(true, signal), await slots.take(true, signal)];
    let third = false;
    const waiting = slots.take(true, signal).then((giveBack) => {
      third = true;
      return giveBack;
    });
    const healthy = [await slots.take(false, signal), await slots.take(false, signal)];
    for (const giveBack of healthy) giveBack();
    await Promise.resolve();
    assert.equal(third, false);
    failing[0]?.();
    failing[0]?.();
    (await waiting)();
    await slots.take(false, signal);
  });

  const waits: readonly [ms: number, queueMs: number][] = [
    [-5, 1_000],
    [0, 1_000],
    [4_999, 1_000],
    [5_000, 5_000],
    [29_000, 5_000],
    [86_400_000, 10_800_000],
  ];
  for (const [ms, queueMs] of waits) {
    test(`a task that is to wait ${ms} ms waits in the queue of ${queueMs} ms first`, () => {
      assert.equal(queueFor(ms), queueMs);
    });
  }
});
