import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { OrderedWork, Turns } from "../../../src/hub/connections/turns.ts";

test("work on many items leaves the event loop free every few milliseconds", async () => {
  let nowMs = 0;
  const pace = new Turns(() => nowMs);
  let beganMs = nowMs;
  let longestMs = 0;
  let waits = 0;
  for (let item = 0; item < 20_000; item++) {
    nowMs += 0.03; // What one item takes.
    const turn = pace.next();
    if (turn === undefined) continue;
    longestMs = Math.max(longestMs, nowMs - beganMs);
    waits++;
    await turn;
    beganMs = nowMs;
  }
  assert.ok(longestMs <= 10, `${longestMs} ms`);
  assert.ok(waits >= 60 && waits < 200, String(waits));
});

test("pieces of work are done in their order, over turns of the event loop where they are long", async () => {
  const work = new OrderedWork();
  const done: string[] = [];
  const piece = function* (name: string, items: number, busyMs = 0) {
    for (let item = 0; item < items; item++) {
      const endMs = performance.now() + busyMs;
      while (performance.now() < endMs);
      yield;
    }
    done.push(name);
  };
  work.add(piece("short", 3));
  assert.deepEqual(done, ["short"], "at once");
  work.add(piece("long", 1_000, 0.05));
  work.add(piece("behind it", 1));
  assert.deepEqual(done, ["short"]);
  let turns = 0;
  for (; done.length < 3; turns++) await nextTurn();
  assert.deepEqual(done, ["short", "long", "behind it"]);
  assert.ok(turns >= 5, String(turns));
});
