import assert from "node:assert/strict";
import { test } from "node:test";
import { dialSeveral, Load, severalServers } from "../../support/several-servers.ts";

test("D16: servers that end each connection soon cost no call under load", async (t) => {
  const servers = await severalServers(t, 2, { maxConnectionAgeMs: 400, maxConnectionAgeGraceMs: 5_000 });
  const { client, transport } = dialSeveral(
    t,
    servers.map(({ address }) => address),
  );
  await transport.ready();
  // Not idempotent: whatever a server may have processed would be lost.
  const load = new Load(8, () => client.echo({ behaviour: { sleepMs: 2 } }, { timeoutMs: 30_000 }));
  await load.until(() => servers.every(({ front }) => front.accepted >= 4));
  await load.stop();
  assert.deepEqual(load.errors, []);
  assert.ok(load.done > 50, `${load.done} calls`);
});
