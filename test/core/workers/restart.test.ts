import assert from "node:assert/strict";
import { test } from "node:test";
import { RestartBackoff } from "../../../src/core/workers/restart.ts";

test("pauses double up to the longest, and begin anew after a minute of life", () => {
  const backoff = new RestartBackoff({ initialMs: 200, maxMs: 1_000 });
  assert.deepEqual(
    [0, 10, 59_999, 0].map((livedMs) => backoff.died(livedMs)),
    [200, 400, 800, 1_000],
  );
  assert.equal(backoff.died(0), 1_000);
  assert.equal(backoff.died(60_000), 200);
  assert.equal(backoff.died(0), 400);
});
