/** What is known of the connections to brokers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { watchPublishing } from "../../../src/messaging/publish-counts.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";

test("the metrics of a broker say whether it is connected, by its name", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const broker = memoryBroker({ name: "main" });
  const unwatch = watchPublishing(metrics, broker);
  const page = (): Promise<string> => metrics.page();
  assert.match(await page(), /^ts_ms_broker_connected\{broker="main"\} 1$/m);
  assert.match(await page(), /^ts_ms_broker_blocked\{broker="main"\} 0$/m);
  assert.match(await page(), /^ts_ms_broker_reconnects_total\{broker="main"\} 0$/m);
  await broker.gracefulStop();
  assert.match(await page(), /^ts_ms_broker_connected\{broker="main"\} 0$/m);
  unwatch();
  assert.doesNotMatch(await page(), /^ts_ms_broker_\w+\{/m);
});
