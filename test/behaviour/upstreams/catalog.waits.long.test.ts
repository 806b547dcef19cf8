import assert from "node:assert/strict";
import { test } from "node:test";
import { churn } from "../../support/catalog-churn.ts";

test("K17: a hundred upstreams of which ten change again and again, and calls of others are answered", async (t) => {
  const options = { upstreams: 100, changes: 10, rounds: 4, pauseMs: 300, callers: 4 };
  const { busyMs, failures, servedMs } = await churn(t, options);
  assert.ok(busyMs.length > 20, `${busyMs.length} calls`);
  assert.deepEqual(failures, []);
  assert.ok(servedMs < 5_000, `${servedMs} ms`);
});
