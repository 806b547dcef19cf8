import assert from "node:assert/strict";
import { test } from "node:test";
import { runMutatedReplies } from "../../support/mutated-replies.ts";

/** Rounds of six calls; set the variable for a longer run. */
const rounds = Number(process.env["TS_MS_MUTATIONS"] ?? 150);

test(`rule 30: ${rounds} rounds of mutated replies end every call in time and leave nothing behind`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { calls, unharmed } = await runMutatedReplies(seed, (round) => round < rounds);
  assert.equal(calls, 6 * rounds);
  assert.ok(unharmed > 0 && unharmed < calls, `${unharmed} calls of ${calls} ended well`);
});
