import assert from "node:assert/strict";
import { test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { startDispatch } from "../../support/dispatch-rig.ts";
import { Handled, turns } from "../../support/message-rig.ts";

test("the page of metrics says what events matched, how their deliveries ended, and the states", async () => {
  const handled = new Handled<string>();
  const codes = [Code.Unavailable, undefined, Code.NotFound];
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(
    service(MailService, {
      onOrderPlaced({ orderId }) {
        handled.add(orderId);
        const code = codes.shift();
        if (code !== undefined) throw new ConnectError("no", code);
        return {};
      },
    }),
  );
  await grpc.start();
  const method = "tsms.test.v1.MailService/OnOrderPlaced";
  const mail = { target: `127.0.0.1:${grpc.address?.port ?? 0}`, method };
  const rig = await startDispatch({
    subscriptions: {
      mail: { target: { case: "rpc", value: mail } },
      audit: { target: { case: "topic", value: "audit" } },
      divided: {
        filter: { types: [OrderPlacedSchema.typeName], cel: "10 / data.total_cents > 1" },
        target: { case: "topic", value: "divided" },
      },
    },
  });
  const metrics = new Metrics({ processMetrics: false });
  const end = rig.dispatcher.watch(metrics);
  try {
    const ann = rig.subscriptions("ann");
    const subscriptionId = "paused";
    const subscription = { target: { case: "topic", value: "audit" } } as const;
    await ann.createSubscription({ subscriptionId, subscription });
    await ann.pauseSubscription({ subscriptionId });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await handled.count(1);
    await turns();
    await rig.clock.pass(3_000);
    await handled.count(2);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "8" });
    await handled.count(3);
    await turns();
    const lines = (await metrics.page()).split("\n").filter((line) => line.startsWith("ts_ms_dispatch_"));
    assert.deepEqual(
      lines.toSorted((one, other) => one.localeCompare(other, "en")),
      [
        'ts_ms_dispatch_deliveries_total{target="rpc",outcome="dead"} 1',
        'ts_ms_dispatch_deliveries_total{target="rpc",outcome="done"} 1',
        'ts_ms_dispatch_deliveries_total{target="rpc",outcome="retry"} 1',
        'ts_ms_dispatch_deliveries_total{target="topic",outcome="done"} 2',
        "ts_ms_dispatch_filter_errors_total 2",
        "ts_ms_dispatch_matched_total 6",
        'ts_ms_dispatch_subscriptions{state="active"} 3',
        'ts_ms_dispatch_subscriptions{state="disabled"} 0',
        'ts_ms_dispatch_subscriptions{state="faulty"} 0',
        'ts_ms_dispatch_subscriptions{state="paused"} 1',
      ],
    );
    end();
    assert.doesNotMatch(await metrics.page(), /^ts_ms_dispatch_/m);
  } finally {
    await rig[Symbol.asyncDispose]();
    await grpc.gracefulStop({ graceMs: 10 });
  }
});
