import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
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
  // A process that waits for its turn on the machine is late with everything.
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  let left = count;
  let longestMs = 0;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      const began = performance.now();
      await client
        .echo({}, { timeoutMs: 20 })
        .catch((error: unknown) => assert.ok(error instanceof ConnectError));
      longestMs = Math.max(longestMs, performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  const { cluster } = transport.stats();
  assert.deepEqual([cluster?.calls, cluster?.inFlight, cluster?.queued], [count, 0, 0]);
  loop.disable();
  const stalledMs = loop.max / 1_000_000;
  assert.ok(
    longestMs <= 20 + 50 + stalledMs,
    `the longest call took ${longestMs} ms, a stall ${stalledMs} ms`,
  );
}
