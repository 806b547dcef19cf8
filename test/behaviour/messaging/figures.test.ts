import assert from "node:assert/strict";
import { test } from "node:test";
import { OrderPlacedSchema, StockCountedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { startTracing } from "../../../src/core/telemetry/tracing/tracing.ts";
import { Handled, startRig, turns } from "../../support/message-rig.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";

const group = "tsms.test.v1.MailService";

test("metrics of subscriptions: what came, what became of it, what waits", async () => {
  const metrics = new Metrics({ processMetrics: false });
  await using rig = await startRig({
    observers: [metrics],
    mail: {
      onOrderPlaced({ note }) {
        if (note !== "") throw new ConnectError("x", note === "dead" ? Code.NotFound : Code.Aborted);
        return {};
      },
    },
  });
  const end = rig.messages.watch(metrics);
  await metrics.page(); // Lag is asked for, and is known at the next reading.
  await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
  await rig.events.publish(OrderPlacedSchema, { orderId: "2", note: "dead" });
  await rig.events.publish(OrderPlacedSchema, { orderId: "3", note: "held" });
  await turns();
  rig.messages.pause("stock", group);
  await rig.events.publish(StockCountedSchema, {});
  await rig.clock.pass(10_000);
  await metrics.page();
  await turns();
  const page = await metrics.page();
  const labels = `topic="orders",group="${group}"`;
  for (const line of [
    `ts_ms_queue_received_total{${labels}} 3`,
    `ts_ms_queue_settled_total{${labels},outcome="ok"} 1`,
    `ts_ms_queue_settled_total{${labels},outcome="dead"} 1`,
    `ts_ms_queue_dead_total{${labels},reason="permanent"} 1`,
    `ts_ms_queue_lanes_held{${labels}} 1`,
    `ts_ms_queue_buffered{${labels}} 1`,
    `ts_ms_queue_in_flight{${labels}} 0`,
    `ts_ms_queue_moves_failing{${labels}} 0`,
    `ts_ms_queue_age_seconds_count{${labels}} 3`,
    `ts_ms_queue_paused{topic="stock",group="${group}",reason="user"} 1`,
    `ts_ms_queue_lag{topic="stock",group="${group}",partition="-1"} 1`,
  ]) {
    assert.ok(page.includes(`${line}\n`), `${line} is not in\n${page}`);
  }
  assert.match(page, new RegExp(`^ts_ms_queue_buffered_bytes\\{${labels}\\} [1-9]\\d*$`, "m"));
  assert.match(
    page,
    /ts_ms_calls_finished_total\{service="tsms.test.v1.MailService",method="OnOrderPlaced",protocol="memory",code="OK"\} 1/,
  );
  assert.match(page, /ts_ms_calls_finished_total\{.*protocol="memory",code="NOT_FOUND"\} 1/);
  const stopped = rig.messages.gracefulStop({ graceMs: 10 });
  await rig.clock.pass(1_000);
  await stopped;
  const released = `ts_ms_queue_released_total{${labels},reason="drain"} 1\n`;
  assert.ok((await metrics.page()).includes(released), released);
  end();
  assert.doesNotMatch(await metrics.page(), /ts_ms_queue_received_total\{/);
});

test("a run is a span of its own, child of the sender's and linked to it", async () => {
  const traces = await new OtlpReceiver().start();
  const tracing = await startTracing({ endpoint: traces.url, sampleRatio: 1 });
  const handled = new Handled<string | null>();
  await using rig = await startRig({
    observers: [tracing],
    mail: { onStockCounted: (_, { requestHeader }) => handled.took(requestHeader.get("traceparent")) },
  });
  await rig.events.publish(StockCountedSchema, {});
  const [header] = await handled.count(1);
  await turns();
  await tracing.stop();
  await traces.stop();
  const { spans } = traces;
  const send = spans.find(({ name }) => name === "send stock");
  const run = spans.find(({ name }) => name === "process stock");
  assert.ok(send && run);
  assert.equal(run.traceId, send.traceId);
  assert.equal(run.parentSpanId, send.spanId);
  assert.deepEqual(
    run.links?.map(({ traceId }) => traceId),
    [send.traceId],
  );
  assert.equal(run.attributes["messaging.system"], "memory");
  assert.equal(run.attributes["messaging.consumer.group.name"], group);
  assert.equal(header, `00-${run.traceId}-${run.spanId}-01`);
});
