import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SagaHost } from "../../src/saga/host.ts";
import { SagaRows } from "../../src/saga/saga-rows.ts";
import type { SqlPool } from "../../src/saga/sql.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** A database that is away. */
const away: SqlPool = {
  query: () => Promise.reject(new Error("away")),
  connect: () => Promise.reject(new Error("away")),
};

function hosted(clock: VirtualClock, concurrency = 2): SagaHost {
  return new SagaHost(new SagaRows(away, "s", () => clock.nowMs()), {
    clock,
    random: () => 0.5,
    concurrency,
    held: async () => {},
    undone: () => {},
  });
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

suite("calls of the sagas of a process", () => {
  test("no more run at once than are allowed, in the order in which they came", async () => {
    const host = hosted(new VirtualClock());
    const leave = await host.enter("a");
    await host.enter("b");
    const third = host.enter("c");
    const fourth = host.enter("d");
    assert.equal(await isSettled(third), false);
    leave();
    (await third)();
    assert.equal(await isSettled(fourth), true);
  });

  test("a stop waits for those that run, and begins none", async () => {
    const clock = new VirtualClock();
    const host = hosted(clock);
    const leave = await host.enter("a");
    const stopped = host.stop(10_000);
    assert.equal(await isSettled(host.enter("b")), false);
    await clock.pass(5_000);
    assert.equal(await isSettled(stopped), false);
    leave();
    assert.deepEqual(await stopped, { finished: 1, cut: [] });
    assert.equal(host.cut.aborted, true);
  });

  test("at the end of the grace running calls are cut, and named by their sagas", async () => {
    const clock = new VirtualClock();
    const host = hosted(clock);
    await host.enter("a");
    const leave = await host.enter("b");
    const stopped = host.stop(10_000);
    leave();
    await clock.pass(9_999);
    assert.equal(host.cut.aborted, false);
    await clock.pass(3_000);
    assert.deepEqual(await stopped, { finished: 1, cut: ["a"] });
  });

  test("a stop waits for a record that is being written", async () => {
    const clock = new VirtualClock();
    const host = hosted(clock);
    const written = host.writing();
    const stopped = host.stop(10_000);
    assert.equal(await isSettled(stopped), false);
    written();
    assert.deepEqual(await stopped, { finished: 0, cut: [] });
  });

  test("what the database has not answered is asked again", async () => {
    const clock = new VirtualClock();
    const host = hosted(clock);
    let asked = 0;
    const answered = host.surely(async () => {
      if (++asked < 6) throw new Error("away");
      return "here";
    });
    await clock.pass(10_000);
    assert.equal(await answered, "here");
    assert.equal(asked, 6);
  });
});
