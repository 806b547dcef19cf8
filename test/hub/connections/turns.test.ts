import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "../../../src/hub/connections/turns.ts";

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
