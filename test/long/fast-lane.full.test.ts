import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { scripts } from "../support/http1-scripts.ts";
import { TwoLanes } from "../support/two-lanes.ts";

test("E13: 20,000 requests are answered by both lanes of HTTP/1.1 without a difference", async () => {
  await using lanes = await TwoLanes.start();
  const played = fc.sample(scripts, { numRuns: 7000, seed: 20_000 });
  const requests = played.reduce((sum, script) => sum + script.requests, 0);
  assert.ok(requests >= 20_000, `only ${requests} requests`);
  assert.deepEqual(await lanes.differences(played, 32), []);
  assert.ok(lanes.unsteady <= played.length / 100, `${lanes.unsteady} scripts depend on time`);
});
