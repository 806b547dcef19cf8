import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { failure } from "../../support/failure.ts";
import { dialSeveral, severalServers, until } from "../../support/several-servers.ts";

const rpc = 'upstream="metrics test",service="tsms.test.v1.EchoService",method="Echo"';

test("calls to several servers are counted by the name of the target, without addresses", async (t) => {
  const servers = await severalServers(t, 2);
  const addresses = servers.map(({ address }) => address);
  const { client, transport } = dialSeveral(t, addresses, { name: "metrics test" });
  await client.echo({});
  await failure(client.echo({ behaviour: { failure: { code: Code.NotFound } } }), Code.NotFound);
  const under = client.echo({ behaviour: { sleepMs: 60_000 } }).catch(() => {});
  await until(transport, () => transport.stats().cluster?.inFlight === 1);
  const metrics = new Metrics({ processMetrics: false });
  const page = await metrics.page();
  for (const line of [
    `ts_ms_client_calls_finished_total{${rpc},code="OK"} 1`,
    `ts_ms_client_calls_finished_total{${rpc},code="NOT_FOUND"} 1`,
    `ts_ms_client_attempts_total{${rpc},kind="first"} 3`,
    `ts_ms_client_call_duration_seconds_count{${rpc}} 2`,
    'ts_ms_client_in_flight{upstream="metrics test"} 1',
    'ts_ms_client_endpoints{upstream="metrics test",state="failing"} 0',
    'ts_ms_client_queued_calls{upstream="metrics test"} 0',
  ]) {
    assert.ok(page.includes(`${line}\n`), `${line}\nis not in\n${page}`);
  }
  for (const address of addresses) assert.ok(!page.includes(address), page);
  for (const { front } of servers) await front.kill();
  await under;
  await failure(client.echo({}), Code.Unavailable);
  assert.match(
    await metrics.page(),
    /ts_ms_client_rejected_total\{upstream="metrics test",reason="no_endpoint"\} 1\n/,
  );
  transport.close();
  assert.doesNotMatch(await metrics.page(), /ts_ms_client_endpoints\{upstream="metrics test"/);
});
