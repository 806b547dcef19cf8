import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { all } from "../../support/failure.ts";
import { type DispatchRig, startDispatch } from "../../support/dispatch-rig.ts";
import { Handled, impatientBroker, turns } from "../../support/message-rig.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import type { IncomingMessage, SubscriptionSpec } from "../../../src/messaging/broker.ts";

const limit = { limit: 100, signal: new AbortController().signal };

suite("targets of a dispatcher:", () => {
  test("53 an rpc gets the message, its attributes, and a key that is the same in each try", async () => {
    const handled = new Handled<[string, string | null, string | null]>();
    let failures = 1;
    await using mail = await startMail((orderId, headers) => {
      handled.add([orderId, headers.get("ce-id"), headers.get("idempotency-key")]);
      if (failures-- > 0) throw new ConnectError("not now", Code.Unavailable);
    });
    await using rig = await startDispatch();
    await rig.subscriptions().createSubscription({
      subscriptionId: "mail",
      subscription: {
        target: {
          case: "rpc",
          value: { target: mail.target, method: "tsms.test.v1.MailService/OnOrderPlaced" },
        },
      },
    });
    const { id } = await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await handled.count(1);
    await pass(rig, 3_000);
    const [first, second] = await handled.count(2);
    assert.deepEqual(first?.slice(0, 2), ["7", id]);
    assert.deepEqual(second, first);
  });

  test("28, 53 a permanent error of an rpc makes a dead letter of its delivery, which can be replayed", async () => {
    const handled = new Handled<string>();
    let isBroken = true;
    await using mail = await startMail((orderId) => {
      handled.add(orderId);
      if (isBroken) throw new ConnectError("no such order", Code.NotFound);
    });
    await using rig = await startDispatch({
      subscriptions: {
        mail: {
          target: {
            case: "rpc",
            value: { target: mail.target, method: "tsms.test.v1.MailService/OnOrderPlaced" },
          },
        },
      },
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await handled.count(1);
    const letter = await deadLetter(rig, "ts-ms.dispatch.tasks");
    assert.equal(header(letter, "x-ts-ms-dead-reason"), "permanent");
    assert.equal(header(letter, "x-ts-ms-dead-message"), "no such order");
    isBroken = false;
    const box = rig.dispatcher.deadLetters("ts-ms.dispatch.tasks");
    assert.equal(await box.replay({}), 1);
    assert.deepEqual(await handled.count(2), ["7", "7"]);
  });

  test("53 a topic gets the event with its attributes, and one hop more", async () => {
    await using rig = await startDispatch({
      subscriptions: { audit: { target: { case: "topic", value: "audit" } } },
    });
    const read = new Handled<IncomingMessage>();
    await subscribe(rig, "audit", read);
    const { id } = await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    const [message] = await read.count(1);
    assert.ok(message !== undefined);
    assert.equal(header(message, "ce_id") ?? header(message, "ce-id"), id);
    assert.equal(header(message, "x-ts-ms-hops"), "1");
    assert.equal(message.key, "7");
  });

  test("53 a room gets the message; its name has values of the event, of which none makes another room", async () => {
    const published = new Handled<[string, string]>();
    const rooms = {
      orders: {
        async publish(room: string, message: { readonly orderId: string }) {
          published.add([room, message.orderId]);
        },
      },
    };
    await using rig = await startDispatch({
      rooms: { orders: { publish: (room, message) => rooms.orders.publish(room, message) } },
      subscriptions: {
        live: {
          filter: { types: ["tsms.test.v1.OrderPlaced"] },
          target: {
            case: "room",
            value: { topic: "orders", name: "order/{data.order_id}/{event.subject}" },
          },
        },
      },
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7/8" });
    assert.deepEqual(await published.count(1), [["order/7%2F8/7%2F8", "7/8"]]);
  });

  test("52 an event that dispatchers have published too often is a dead letter", async () => {
    await using rig = await startDispatch({
      maxHops: 3,
      subscriptions: { circle: { target: { case: "topic", value: "orders" } } },
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    const letter = await deadLetter(rig, "orders");
    assert.equal(header(letter, "x-ts-ms-dead-reason"), "loop");
    assert.equal(header(letter, "x-ts-ms-hops"), "4");
  });

  test("52 an event of more subscriptions than maxFanOut is a dead letter", async () => {
    const given = { target: { case: "topic", value: "audit" } } as const;
    await using rig = await startDispatch({ maxFanOut: 1, subscriptions: { a: given, b: given } });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    const letter = await deadLetter(rig, "orders");
    assert.equal(header(letter, "x-ts-ms-dead-reason"), "too-large");
  });

  test("52 an event of 250 subscriptions becomes 3 tasks, and each of them gets it once", async () => {
    const given = Object.fromEntries(
      Array.from({ length: 250 }, (_, place) => [
        `s${place}`,
        { target: { case: "topic", value: `to-${place % 5}` } } as const,
      ]),
    );
    await using rig = await startDispatch({ subscriptions: given });
    const read = new Handled<IncomingMessage>();
    for (let place = 0; place < 5; place++) await subscribe(rig, `to-${place}`, read);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await read.count(250);
    await turns();
    assert.equal(read.items.length, 250);
    assert.equal(rig.dispatcher.queues.find(({ topic }) => topic.endsWith(".tasks"))?.received, 3);
  });

  test("an event of a type that is not known is skipped", async () => {
    await using rig = await startDispatch();
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await turns();
    const settled = rig.dispatcher.queues.find(({ topic }) => topic === "orders")?.settled;
    assert.deepEqual(settled, { ok: 1 });
  });

  test("35 a broker that takes back what is not settled in time, as RabbitMQ does, is read like any other", async () => {
    const clock = new VirtualClock();
    await using rig = await startDispatch({
      clock,
      broker: impatientBroker(clock),
      subscriptions: { audit: { ordered: true, target: { case: "topic", value: "audit" } } },
    });
    const read = new Handled<IncomingMessage>();
    await subscribe(rig, "audit", read);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await read.count(1);
  });

  test("a configuration that cannot be used is refused by its name", async () => {
    const started = startDispatch({
      subscriptions: { audit: { filter: { types: ["nope"] }, target: { case: "topic", value: "audit" } } },
    });
    await assert.rejects(
      started,
      /subscriptions\.audit: subscription\.filter\.types: there is no event of the type "nope"/,
    );
  });
});

async function startMail(handle: (orderId: string, headers: Headers) => void) {
  const grpc = new GrpcServer({ port: 0, logger: false });
  grpc.addService(
    service(MailService, {
      onOrderPlaced({ orderId }, { requestHeader }) {
        handle(orderId, requestHeader);
        return {};
      },
    }),
  );
  await grpc.start();
  return {
    target: `127.0.0.1:${grpc.address?.port}`,
    async [Symbol.asyncDispose]() {
      await grpc.gracefulStop({ graceMs: 10 });
    },
  };
}

async function subscribe(rig: DispatchRig, topic: string, read: Handled<IncomingMessage>): Promise<void> {
  const spec: SubscriptionSpec = {
    topic,
    group: "readers",
    types: [],
    ordering: "none",
    prefetch: 1_000,
    maxBufferedBytes: 1e6,
    maxMessageBytes: 1e6,
    from: "start",
    declare: true,
    broadcast: false,
    retryDelaysMs: [],
    deadLetters: true,
    maxDeliveries: 100,
  };
  await rig.broker.subscribe(spec, (delivery) => {
    read.add(delivery.message);
    delivery.settle();
  });
}

async function pass(rig: DispatchRig, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    await rig.clock.pass(500);
    await turns(3);
  }
}

async function deadLetter(rig: DispatchRig, topic: string): Promise<IncomingMessage> {
  for (let look = 0; look < 200; look++) {
    const [letter] = await all(rig.broker.deadLetters(topic, "ts-ms.dispatch").list(limit));
    if (letter !== undefined) return letter.message;
    await turns(3);
  }
  throw new Error(`there is no dead letter of ${topic}`);
}

function header({ headers }: IncomingMessage, name: string): string | undefined {
  const found = headers.find(([each]) => each === name)?.[1];
  return typeof found === "string" ? found : undefined;
}
