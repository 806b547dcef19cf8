import assert from "node:assert/strict";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { TestContext } from "node:test";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import { idempotent, scriptedEcho, unavailable } from "../../support/scripted-echo.ts";
import { dialSeveral } from "../../support/several-servers.ts";

/** Calls with short pauses and deadlines, half of whose attempts fail: each of them ends in time, and none is left. */
export async function callMany(t: TestContext, count: number): Promise<void> {
  let attempts = 0;
  const { address } = await scriptedEcho(t, () => (attempts++ % 2 === 0 ? unavailable() : "good"));
  const { client, transport } = dialSeveral(t, [address], {
    policies: [idempotent({ retry: { initialBackoffMs: 1, maxBackoffMs: 1 } })],
    retryBudget: { ratio: 2 },
  });
  await transport.ready();
  let left = count;
  let late = 0;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      let hasEnded = false;
      const limit = timeLimit().then(() => (late += Number(!hasEnded)));
      await client
        .echo({}, { timeoutMs: 20 })
        .catch((error: unknown) => assert.ok(error instanceof ConnectError));
      hasEnded = true;
      void limit;
    }
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  const { cluster } = transport.stats();
  assert.deepEqual([cluster?.calls, cluster?.inFlight, cluster?.queued], [count, 0, 0]);
  assert.equal(late, 0, `${late} calls ended late`);
}

/** The deadline and 50 ms, by timers of the same process: what delays all of its timers delays these too. */
async function timeLimit(): Promise<void> {
  await setTimeout(20);
  await setTimeout(50);
  await setImmediate();
}
