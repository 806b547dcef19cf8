import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Code } from "../../src/core/errors/errors.ts";
import { callsOf, dialSeveral, severalServers, until } from "../support/several-servers.ts";

test("K01: 1 of 20 servers connects and drops every 100 ms, under 500 calls a second", async (t) => {
  const servers = await severalServers(t, 20);
  const [dropping, ...others] = servers;
  if (dropping === undefined) assert.fail("no server");
  const addresses = servers.map(({ address }) => address);
  // The first calls of a process are slow, which their endpoints would be held to have caused for some seconds.
  const early = dialSeveral(t, addresses);
  for (let turn = 0; turn < 400; turn++) {
    await Promise.all(Array.from({ length: 5 }, () => early.client.echo({}, { timeoutMs: 5_000 })));
  }
  early.transport.close();
  const { client, transport } = dialSeveral(t, addresses, {
    policies: [{ selector: "tsms.test.v1.EchoService/Echo", retry: { codes: [Code.Unavailable] } }],
  });
  await transport.ready();
  await until(transport, () => transport.stats().cluster?.connections === 20);
  dropping.front.lifeMs = 100;
  await dropping.front.kill();
  await dropping.front.start();
  const outcomes: Promise<unknown>[] = [];
  const errors: unknown[] = [];
  const before = callsOf(others);
  let dialsAt5s = 0;
  const beganMs = performance.now();
  for (let turn = 0; turn < 1_200; turn++) {
    for (let call = 0; call < 5; call++) {
      outcomes.push(client.echo({}, { timeoutMs: 5_000 }).catch((error: unknown) => errors.push(error)));
    }
    if (turn === 500) dialsAt5s = dropping.front.accepted;
    const aheadMs = beganMs + 10 * (turn + 1) - performance.now();
    if (aheadMs > 0) await pause(aheadMs);
  }
  await Promise.all(outcomes);
  assert.deepEqual(errors, []);
  const seconds = (performance.now() - beganMs) / 1_000 - 5;
  const dials = dropping.front.accepted - dialsAt5s;
  assert.ok(dials <= seconds + 1, `${dials} dials in ${seconds} s`);
  const calls = callsOf(others).map((count, index) => count - (before[index] ?? 0));
  const total = calls.reduce((sum, count) => sum + count, 0);
  for (const count of calls) {
    const points = 100 * Math.abs(count / total - 1 / calls.length);
    assert.ok(points <= 3, `${count} of ${total} calls`);
  }
  assert.equal(transport.stats().endpoints.length, 20);
  for (const { load } of transport.stats().endpoints.slice(1)) assert.ok((load?.attempts ?? 0) > 100);
});
