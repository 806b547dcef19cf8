/** Events of NATS to subscriptions: those with an order need one process at a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { SubscriptionService } from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { EventDispatcherOptions } from "../../../src/dispatch/dispatch-options.ts";
import { EventDispatcher } from "../../../src/dispatch/dispatcher.ts";
import { memoryDispatchStore } from "../../../src/dispatch/memory-dispatch-store.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { testRegistry } from "../../support/dispatch-rig.ts";
import { failure } from "../../support/failure.ts";
import { withoutNats as skip } from "../../support/nats-server.ts";
import { allowing, startReceiver } from "../../support/webhook-receiver.ts";
import { natsFixture } from "../messaging/nats-fixture.ts";

const nats = natsFixture();
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const refusal = /subscription\.ordered: cannot be had over nats.*`singleReader: true`/;

test("50 two processes share the events of subscriptions without an order", { skip }, async () => {
  await using receiver = await startReceiver();
  const options = {
    webhooks: allowing(receiver),
    subscriptions: { partner: { target: { case: "webhook", value: { url: receiver.url, secret } } } },
  } as const;
  const broker = await nats.broker({ prefix: "shared." });
  await using one = await startDispatcher(broker, options);
  await using two = await startDispatcher(await nats.broker({ prefix: "shared." }), options);
  await Promise.all([one.check(), two.check()]);
  const events = createPublisher(broker);
  const published = await Promise.all(
    Array.from({ length: 20 }, (_, at) => events.publish(OrderPlacedSchema, { orderId: String(at % 3) })),
  );
  await receiver.received.count(20);
  const ids = receiver.received.items.map(({ headers }) => headers["ce-id"]);
  assert.deepEqual(new Set(ids), new Set(published.map(({ id }) => id)));
});

test("38, 52 one with an order is refused, of a configuration and of a caller", { skip }, async () => {
  const broker = await nats.broker({ prefix: "refused." });
  const ordered = { ordered: true, target: { case: "topic", value: "audit" } } as const;
  const configured = new EventDispatcher({
    ...{ broker, topics: ["orders"], registry: testRegistry, logger: false },
    subscriptions: { audit: ordered },
  });
  await assert.rejects(configured.checkSubscriptions(), (error) => {
    assert.ok(error instanceof SetupError);
    assert.match(error.message, /EventDispatcher: subscriptions\.audit/);
    assert.match(error.message, refusal);
    return true;
  });
  await using dispatcher = await startDispatcher(broker, {
    store: memoryDispatchStore(),
    authorize: () => true,
  });
  const grpc = new GrpcServer({ listen: false, logger: false });
  grpc.addService(dispatcher.subscriptions);
  await grpc.start();
  const subscriptions = createClient(SubscriptionService, dial(grpc));
  const error = await failure(subscriptions.createSubscription({ subscription: ordered }));
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.rawMessage, refusal);
  await grpc.gracefulStop({ graceMs: 10 });
});

test("52 with one process at a time the events of a key go in their order", { skip }, async () => {
  const broker = await nats.broker({ prefix: "single.", singleReader: true });
  let failures = 1;
  await using receiver = await startReceiver((response) => {
    if (failures-- > 0) response.writeHead(503, { "retry-after": "0" });
    response.end();
  });
  await using dispatcher = await startDispatcher(broker, {
    webhooks: allowing(receiver),
    subscriptions: {
      partner: { ordered: true, target: { case: "webhook", value: { url: receiver.url, secret } } },
    },
  });
  await dispatcher.check();
  const events = createPublisher(broker);
  const published: string[] = [];
  for (let at = 0; at < 5; at++)
    published.push((await events.publish(OrderPlacedSchema, { orderId: "7" })).id);
  await receiver.received.count(6);
  const ids = receiver.received.items.map(({ headers }) => headers["ce-id"]);
  assert.deepEqual(ids, [published[0], ...published]);
});

async function startDispatcher(
  broker: Broker,
  options: Partial<EventDispatcherOptions>,
): Promise<EventDispatcher> {
  const dispatcher = new EventDispatcher({
    ...{ logger: false, topics: ["orders"], registry: testRegistry },
    ...options,
    broker,
  });
  await dispatcher.start();
  return dispatcher;
}
