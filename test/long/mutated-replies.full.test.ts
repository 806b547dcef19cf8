import assert from "node:assert/strict";
import { test } from "node:test";
import { runMutatedReplies } from "../support/mutated-replies.ts";

test("rule 30: mutated replies for a minute", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const until = performance.now() + 60_000;
  const { calls, unharmed } = await runMutatedReplies(seed, () => performance.now() < until);
  assert.ok(unharmed > 0 && unharmed < calls, `${unharmed} calls of ${calls} ended well`);
});
