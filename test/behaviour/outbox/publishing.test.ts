import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import {
  OrderPlacedSchema,
  ReserveRequestSchema,
  StockService,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { createPublisher, memoryBroker, type Transaction } from "../../../src/entries/messaging.ts";
import { OutboxRelay, sqliteStore } from "../../../src/entries/outbox.ts";
import { eventOf } from "../../../src/messaging/cloud-event.ts";
import { Reading, specOf } from "../../support/brokers/readings.ts";
import { isCallError } from "../../support/inbox-calls.ts";

/** A store and its relay to a broker in memory. */
async function openShop() {
  const broker = memoryBroker();
  const store = sqliteStore(":memory:");
  await store.migrate();
  const relay = new OutboxRelay({ store, broker });
  await relay.start();
  const stop = async (): Promise<void> => {
    await relay.gracefulStop();
    await broker.gracefulStop();
    await store.close();
  };
  return { broker, store, stop };
}

test("what a publisher says in a transaction comes when that is committed, and not when it is rolled back", async () => {
  const { broker, store, stop } = await openShop();
  const reader = await Reading.start(broker, specOf("orders", "mail", { types: [] }));
  const events = createPublisher(broker, { source: "/shop" });
  const place = (orderId: string, tx: Transaction) =>
    events.in(tx).publish(OrderPlacedSchema, { orderId, totalCents: 7n });
  const failing = store.transact(undefined, (tx) => {
    void place("lost", tx);
    throw new Error("rolled back");
  });
  await assert.rejects(failing, /rolled back/);
  let published: ReturnType<typeof place> | undefined;
  await store.transact(undefined, (tx) => {
    published = place("1", tx);
  });
  assert.deepEqual({ ...(await published), id: "" }, { id: "", topic: "orders", confirmed: false });
  const delivery = await reader.next(1_000);
  delivery.settle();
  const read = eventOf(delivery.message);
  assert.ok(read.kind === "event");
  assert.equal(read.event.source, "/shop");
  assert.equal(read.event.id, (await published)?.id);
  assert.equal(delivery.message.key, "1");
  assert.equal(fromBinary(OrderPlacedSchema, delivery.message.body ?? new Uint8Array(0)).totalCents, 7n);
  await stop();
});

test("a publish that is refused rolls back, and one behind the end is refused", async () => {
  const { broker, store, stop } = await openShop();
  const events = createPublisher(broker);
  const noKey = store.transact(undefined, (tx) => void events.in(tx).publish(OrderPlacedSchema, {}));
  await assert.rejects(noKey, isCallError(Code.InvalidArgument, /order_id/));
  const oneBad = store.transact(undefined, (tx) => {
    const items = [{ orderId: "1" }, {}].map((message) => ({ schema: OrderPlacedSchema, message }));
    void events.in(tx).publishAll(items);
  });
  await assert.rejects(oneBad, isCallError(Code.InvalidArgument, /order_id/));
  const tx = await store.transact(undefined, (open) => open);
  const late = events.in(tx).publish(OrderPlacedSchema, { orderId: "1" });
  await assert.rejects(late, isCallError(Code.FailedPrecondition, /^the transaction has ended$/));
  await stop();
});

test("a command in a transaction is sent when that is committed; a call cannot be one of its rows", async () => {
  const { broker, store, stop } = await openShop();
  const topic = "tsms.test.v1.StockService";
  const reader = await Reading.start(broker, specOf(topic, "stock", { types: [] }));
  await store.transact(undefined, (tx) => {
    void createClient(StockService, dial(tx)).reserve({ sku: "A1", count: 2 });
  });
  const delivery = await reader.next(1_000);
  delivery.settle();
  const { message } = delivery;
  assert.equal(fromBinary(ReserveRequestSchema, message.body ?? new Uint8Array(0)).sku, "A1");
  let count: Promise<unknown> = Promise.resolve();
  await store.transact(undefined, (tx) => {
    count = createClient(StockService, dial(tx)).count({ sku: "A1" });
    count.catch(() => {}); // It is looked at below.
  });
  await assert.rejects(count, isCallError(Code.Unimplemented));
  await stop();
});
