import { strict as assert } from "node:assert";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { OrderPlacedSchema, StockService } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { messageTracing } from "../../../src/core/call/message-trace.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { startTracing } from "../../../src/core/telemetry/tracing/tracing.ts";
import { eventOf } from "../../../src/messaging/cloud-event.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { watchPublishing } from "../../../src/messaging/publish-counts.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { Reading, specOf } from "../../support/brokers/readings.ts";
import { failure } from "../../support/failure.ts";
import { OtlpReceiver, type ReceivedSpan } from "../../support/otlp-receiver.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

async function tracing(sampleRatio = 1) {
  const receiver = await new OtlpReceiver().start();
  const traces = await startTracing({ endpoint: receiver.url, sampleRatio, service: "shop" });
  return {
    receiver,
    async spans(count: number): Promise<ReceivedSpan[]> {
      while (receiver.spans.length < count) {
        await traces.flush();
        await turn();
      }
      return receiver.spans.splice(0);
    },
    async [Symbol.asyncDispose]() {
      await traces.stop();
      await receiver.stop();
    },
  };
}

test("a message that is published is a span, which its headers and attributes name", async () => {
  await using traces = await tracing();
  const broker = memoryBroker();
  const reader = await Reading.start(broker, specOf("orders", "mail", { types: [] }));
  await createPublisher(broker).publish(OrderPlacedSchema, { orderId: "7" }, { id: "id-1" });
  const [span] = await traces.spans(1);
  assert.ok(span);
  assert.equal(span.name, "send orders");
  assert.equal(span.kind, 4);
  assert.deepEqual(span.attributes, {
    "messaging.system": "memory",
    "messaging.destination.name": "orders",
    "messaging.message.id": "id-1",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
  });
  const read = eventOf((await reader.next(1_000)).message);
  assert.ok(read.kind === "event");
  const traceparent = `00-${span.traceId}-${span.spanId}-01`;
  assert.equal(read.headers.get("traceparent"), traceparent);
  assert.equal(read.event.extensions.get("traceparent"), traceparent);
});

test("a command is a span of the trace that its headers name, with the code of its failure", async () => {
  await using traces = await tracing();
  const client = createClient(StockService, dial(memoryBroker()));
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await failure(client.reserve({ sku: "A1" }, { headers: { traceparent } }), Code.Unavailable);
  const [span] = await traces.spans(1);
  assert.equal(span?.name, "send tsms.test.v1.StockService");
  assert.equal(span.traceId, "0af7651916cd43dd8448eb211c80319c");
  assert.equal(span.parentSpanId, "b7ad6b7169203331");
  assert.equal(span.attributes["error.type"], "UNAVAILABLE");
  assert.equal(span.status.code, 2);
});

test("a trace that is not sampled goes on without spans", async () => {
  await using traces = await tracing(0);
  const broker = memoryBroker();
  const reader = await Reading.start(broker, specOf("orders", "mail", { types: [] }));
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  await createPublisher(broker).publish(OrderPlacedSchema, { orderId: "7" }, { headers: { traceparent } });
  const read = eventOf((await reader.next(1_000)).message);
  assert.match(
    read.headers.get("traceparent") ?? "",
    /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/,
  );
  await turn();
  assert.equal(traces.receiver.spans.length, 0);
});

test("a run is a span below the one that sent its message, of several messages it is linked alone", async () => {
  await using traces = await tracing();
  const run = (headers: readonly ReadonlyMap<string, string>[], error?: ConnectError): CallContext => {
    const { reserve: method } = StockService.method;
    const context = new CallContext({ method, protocolName: "memory", requestHeader: new Headers() });
    const message = { system: "memory", topic: "orders", id: "1", group: "mail", partition: 3, headers };
    messageTracing.tracer?.process(context, message)(error);
    context.end();
    return context;
  };
  const sent = new Map([["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]]);
  const other = new Map([["traceparent", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]]);
  const one = run([sent], new ConnectError("no", Code.NotFound));
  const batch = run([sent, other, new Map()]);
  const [first, second] = await traces.spans(2);
  assert.ok(first && second);
  assert.deepEqual([first.name, first.kind], ["process orders", 5]);
  assert.equal(first.parentSpanId, "b7ad6b7169203331");
  assert.deepEqual(
    first.links?.map(({ traceId }) => traceId),
    ["0af7651916cd43dd8448eb211c80319c"],
  );
  assert.deepEqual([one.trace?.traceId, one.trace?.spanId], [first.traceId, first.spanId]);
  assert.equal(first.attributes["messaging.consumer.group.name"], "mail");
  assert.equal(first.attributes["messaging.destination.partition.id"], "3");
  assert.equal(first.attributes["error.type"], "NOT_FOUND");
  assert.equal(second.attributes["messaging.batch.message_count"], 3);
  assert.equal(second.parentSpanId ?? "", "");
  assert.equal(second.links?.length, 2);
  assert.equal(batch.trace?.traceId, second.traceId);
});

test("what is published is counted by topic and result, and measured", async () => {
  const clock = new VirtualClock();
  const broker = memoryBroker({ maxMessages: 1 });
  const metrics = new Metrics({ processMetrics: false });
  const end = watchPublishing(metrics, broker);
  await Reading.start(broker, specOf("orders", "mail", { types: [] }));
  const events = createPublisher(broker, { maxInFlight: 1, maxWaiting: 1 }, { clock });
  await events.publish(OrderPlacedSchema, { orderId: "1" });
  const controller = new AbortController();
  const late = failure(events.publish(OrderPlacedSchema, { orderId: "2" }));
  const taken = failure(events.publish(OrderPlacedSchema, { orderId: "3" }, { signal: controller.signal }));
  await failure(events.publish(OrderPlacedSchema, { orderId: "4" }));
  const before = await metrics.page();
  assert.match(before, /^ts_ms_queue_publishing\{state="in_flight"\} 1$/m);
  assert.match(before, /^ts_ms_queue_publishing\{state="waiting"\} 1$/m);
  controller.abort();
  await taken;
  await clock.pass(5_000);
  await late;
  await failure(createClient(StockService, dial(broker)).reserve({ sku: "A1" }));
  const page = await metrics.page();
  const counts = [...page.matchAll(/^ts_ms_queue_published_total\{(.*)\} (\d+)$/gm)];
  assert.deepEqual(counts.map(([, labels, count]) => `${labels} ${count}`).toSorted(), [
    'topic="orders",result="confirmed" 1',
    'topic="orders",result="refused" 1',
    'topic="orders",result="timeout" 1',
    'topic="tsms.test.v1.StockService",result="returned" 1',
  ]);
  assert.match(page, /^ts_ms_queue_publish_seconds_count\{topic="orders"\} 3$/m);
  assert.match(page, /^ts_ms_queue_publish_seconds_sum\{topic="orders"\} 5$/m);
  assert.match(page, /^ts_ms_queue_publishing\{state="in_flight"\} 0$/m);
  end();
  assert.doesNotMatch(await metrics.page(), /ts_ms_queue_published_total\{/);
});
