import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { Balance } from "../../src/entries/clients.ts";
import { createClient, dial, GrpcServer } from "../../src/index.ts";
import { Echo } from "../../test/support/echo-service.ts";
import { KillableFront } from "../../test/support/killable-front.ts";
import { Checks, type Suite } from "../suite.ts";
import { OpenLoop } from "./open-loop.ts";

/** K01: one of twenty endpoints takes connections and drops each of them after 100 ms. */
export const droppingEndpoint: Suite = {
  name: "dropping-endpoint",
  async run(whole) {
    const checks = new Checks();
    // By load, shares are equal over some time only.
    for (const policy of whole ? (["round_robin", "p2c"] as const) : (["round_robin"] as const)) {
      await checks.check(`K01: one of 20 endpoints drops its connections, ${policy}`, async () => {
        console.log(`  K01, ${policy}: ${await drop({ policy }, whole ? 40_000 : 5_000)}`);
      });
    }
    return checks.result;
  },
};

/** @param watchedMs how long dials are counted, after 5 s */
async function drop(balance: Balance, watchedMs: number): Promise<string> {
  const echoes = Array.from({ length: 20 }, () => new Echo());
  const servers = echoes.map((echo) => new GrpcServer({ port: 0 }).addService(echo));
  for (const server of servers) await server.start();
  const front = await new KillableFront(servers[0]?.address?.port ?? 0).start();
  front.lifeMs = 100;
  const [, ...others] = servers.map(({ address }) => `127.0.0.1:${address?.port}`);
  try {
    await using transport = dial([front.address, ...others], { balance, outlier: false });
    await transport.ready();
    const client = createClient(EchoService, transport);
    await using loop = new OpenLoop(500, () => ({
      kind: "Echo",
      call: () => client.echo({}, { timeoutMs: 10_000 }),
    }));
    await delay(5_000);
    const dialsBefore = front.accepted;
    await delay(watchedMs);
    const dials = (front.accepted - dialsBefore) / (watchedMs / 1_000);
    await loop.stop();
    const [dropping, ...calls] = echoes.map((echo) => echo.calls);
    const total = calls.reduce((sum, count) => sum + count, 0);
    const worst = Math.max(...calls.map((count) => Math.abs(count / total - 1 / calls.length) * 100));
    const figures = `${loop.summary}; ${dials.toFixed(2)} dials/s; the others' shares within ${worst.toFixed(2)} points`;
    assert.ok(dials <= 1, figures);
    assert.ok(worst <= 3, figures);
    assert.equal(transport.stats().endpoints.length, 20);
    // Calls are lost with their connections only: none of the others.
    for (const { code } of loop.lost) assert.equal(code, "UNAVAILABLE", figures);
    assert.ok(loop.lost.length <= (dropping ?? 0) + front.accepted, figures);
    return figures;
  } finally {
    await front.kill();
    for (const server of servers) await server.gracefulStop({ graceMs: 0 });
  }
}
