/** The order of what a call passes on the side of its client: rule 32 of the clients. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Interceptor } from "@connectrpc/connect";
import { Code } from "../../../src/core/errors/errors.ts";
import { failure, isImmediate, never } from "../../support/failure.ts";
import { allEcho, scriptedEcho, unavailable } from "../../support/scripted-echo.ts";
import { dialSeveral } from "../../support/several-servers.ts";

test("rule 32: interceptors, timeout, concurrency, retry, breaker, pick: each of one call in this order", async (t) => {
  const bad = await scriptedEcho(t, () => unavailable());
  let hangs = false;
  const good = await scriptedEcho(t, () => (hangs ? never() : "good"));
  let intercepted = 0;
  const interceptor: Interceptor = (next) => (request) => {
    intercepted++;
    return next(request);
  };
  const policies = [
    {
      selector: allEcho,
      idempotency: "NO_SIDE_EFFECTS" as const,
      timeoutMs: 1_000,
      concurrency: { max: 1, queue: 0 },
      retry: { maxAttempts: 2, initialBackoffMs: 1, maxBackoffMs: 1 },
      circuitBreaker: { minCalls: 1_000, failureRatio: 1 },
    },
  ];
  const { client, transport } = dialSeveral(t, [bad.address, good.address], {
    ...{ policies, interceptors: [interceptor], balance: "round_robin" },
  });
  await transport.ready();
  for (let call = 0; call < 10; call++) assert.equal((await client.echo({})).text, "good");
  const { attempts, breakers } = transport.stats().cluster ?? assert.fail();
  // A call is intercepted and takes its place among those under way once, whatever its attempts are.
  assert.equal(intercepted, 10);
  assert.ok(attempts.retry > 0);
  // An attempt avoids the endpoint that has failed, so that two are enough.
  assert.deepEqual([attempts.first, good.previous.length, bad.previous.length], [10, 10, attempts.retry]);
  // The breaker sees every attempt.
  assert.deepEqual(
    breakers.map(({ calls, failures }) => [calls, failures]),
    [[10 + attempts.retry, attempts.retry]],
  );

  // What has no place is refused outside of retries and breakers; the time is that of all attempts together.
  hangs = true;
  const begun = performance.now();
  const slow = failure(client.echo({}), Code.DeadlineExceeded);
  while (transport.stats().cluster?.inFlight !== 1) await new Promise(setImmediate);
  const refused = failure(client.echo({}), Code.Unavailable);
  assert.ok(await isImmediate(refused));
  await slow;
  assert.ok(performance.now() - begun >= 990);
  const after = transport.stats().cluster ?? assert.fail();
  assert.equal(after.attempts.first, 11);
  assert.equal(intercepted, 12);
});
