import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Delivery_Status, Subscription_State } from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { cloudEventHeaders } from "../../../src/dispatch/event-service.ts";
import { memoryDispatchStore } from "../../../src/dispatch/memory-dispatch-store.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { type DispatchRig, startDispatch } from "../../support/dispatch-rig.ts";
import { all, failure } from "../../support/failure.ts";
import { Handled, turns } from "../../support/message-rig.ts";

const toAudit = { target: { case: "topic", value: "audit" } } as const;
const subscriptionId = "audit";

suite("subscriptions of callers, 56:", () => {
  test("one belongs to the principal that made it, and does not exist for others", async () => {
    await using rig = await startDispatch();
    const [ann, bob] = [rig.subscriptions("ann"), rig.subscriptions("bob")];
    await ann.createSubscription({ subscriptionId, subscription: toAudit });
    const others = [
      bob.getSubscription({ subscriptionId }),
      bob.updateSubscription({ subscriptionId, subscription: toAudit }),
      bob.deleteSubscription({ subscriptionId }),
      bob.pauseSubscription({ subscriptionId }),
      bob.resumeSubscription({ subscriptionId }),
      bob.rotateSecret({ subscriptionId }),
      bob.testSubscription({ subscriptionId, eventJson: "{}" }),
      bob.listDeliveries({ subscriptionId }),
      bob.redeliver({ subscriptionId, deliveryId: "x" }),
      rig.subscriptions().getSubscription({ subscriptionId }),
    ];
    for (const call of others) assert.equal((await failure(call)).code, Code.NotFound);
    assert.equal((await bob.listSubscriptions({})).subscriptions.length, 0);
    // Another principal may use the same id.
    await bob.createSubscription({ subscriptionId, subscription: toAudit });
    assert.equal((await ann.getSubscription({ subscriptionId })).target.value, "audit");
  });

  test("one with a known id is ALREADY_EXISTS, one without gets an id, and one of the configuration is not shown", async () => {
    await using rig = await startDispatch({ subscriptions: { fixed: toAudit } });
    const ann = rig.subscriptions("ann");
    await ann.createSubscription({ subscriptionId, subscription: toAudit });
    const again = await failure(ann.createSubscription({ subscriptionId, subscription: toAudit }));
    assert.equal(again.code, Code.AlreadyExists);
    const { subscription } = await ann.createSubscription({ subscription: toAudit });
    assert.match(subscription?.subscriptionId ?? "", /^[0-9a-f-]{36}$/);
    assert.equal((await failure(ann.getSubscription({ subscriptionId: "fixed" }))).code, Code.NotFound);
    const bad = await failure(ann.createSubscription({ subscriptionId: "No Id", subscription: toAudit }));
    assert.equal(bad.code, Code.InvalidArgument);
  });

  test("lists have pages", async () => {
    await using rig = await startDispatch();
    const ann = rig.subscriptions("ann");
    for (const id of ["c", "a", "b"])
      await ann.createSubscription({ subscriptionId: id, subscription: toAudit });
    const first = await ann.listSubscriptions({ pageSize: 2 });
    const second = await ann.listSubscriptions({ pageSize: 2, pageToken: first.nextPageToken });
    const ids = [...first.subscriptions, ...second.subscriptions].map((each) => each.subscriptionId);
    assert.deepEqual(ids, ["a", "b", "c"]);
    assert.equal(second.nextPageToken, "");
    const error = await failure(ann.listSubscriptions({ pageToken: "%" }));
    assert.equal(error.code, Code.InvalidArgument);
  });

  test("an update replaces the filter; kind of target, order and secret stay", async () => {
    await using rig = await startDispatch();
    const ann = rig.subscriptions("ann");
    await ann.createSubscription({ subscriptionId, subscription: toAudit });
    const filter = { types: ["tsms.test.v1.OrderPlaced"], cel: 'data.note == "x"' };
    const updated = await ann.updateSubscription({ subscriptionId, subscription: { ...toAudit, filter } });
    assert.equal(updated.filter?.cel, 'data.note == "x"');
    const refused = [
      { ...toAudit, ordered: true },
      { target: { case: "webhook", value: { url: "https://partner.example/" } } } as const,
      { ...toAudit, filter: { cel: "data." } },
    ];
    for (const subscription of refused) {
      const error = await failure(ann.updateSubscription({ subscriptionId, subscription }));
      assert.equal(error.code, Code.InvalidArgument);
    }
  });

  test("authorize refuses a subscription with PERMISSION_DENIED", async () => {
    await using rig = await startDispatch({
      authorize: ({ target }, who) => target?.case === "webhook" || who?.id === "ann",
    });
    await rig.subscriptions("ann").createSubscription({ subscription: toAudit });
    const error = await failure(rig.subscriptions("bob").createSubscription({ subscription: toAudit }));
    assert.equal(error.code, Code.PermissionDenied);
  });

  test("without a store subscriptions cannot be kept", async () => {
    await using rig = await startDispatch({ store: undefined });
    const error = await failure(rig.subscriptions().createSubscription({ subscription: toAudit }));
    assert.equal(error.code, Code.FailedPrecondition);
  });

  test("a paused subscription gets its events when it is resumed, a deleted one none", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({ rooms: { orders: roomsInto(published) } });
    const ann = rig.subscriptions("ann");
    const target = { case: "room", value: { topic: "orders", name: "all" } } as const;
    await ann.createSubscription({ subscriptionId, subscription: { target } });
    await ann.pauseSubscription({ subscriptionId });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "1" });
    await pass(rig, 20_000);
    assert.equal(published.items.length, 0);
    const resumed = await ann.resumeSubscription({ subscriptionId });
    assert.equal(resumed.state, Subscription_State.ACTIVE);
    await pass(rig, 60_000);
    assert.deepEqual(await published.count(1), ["1"]);
    await ann.deleteSubscription({ subscriptionId });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "2" });
    await turns();
    assert.equal(published.items.length, 1);
  });

  test("what was kept for longer than a day is dropped when it is resumed", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({ rooms: { orders: roomsInto(published) } });
    const ann = rig.subscriptions("ann");
    const target = { case: "room", value: { topic: "orders", name: "all" } } as const;
    await ann.createSubscription({ subscriptionId, subscription: { target } });
    await ann.pauseSubscription({ subscriptionId });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "old" });
    await turns();
    for (let minutes = 0; minutes < 26 * 60; minutes += 60) {
      rig.clock.advance(3_600_000);
      await turns(5);
    }
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "new" });
    await turns();
    await ann.resumeSubscription({ subscriptionId });
    await pass(rig, 60_000);
    assert.deepEqual(await published.count(1), ["new"]);
  });

  test("deliveries are listed, and sent again by id and by time", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({
      logDeliveries: "all",
      rooms: { orders: roomsInto(published) },
    });
    const ann = rig.subscriptions("ann");
    const target = { case: "room", value: { topic: "orders", name: "all" } } as const;
    await ann.createSubscription({ subscriptionId, subscription: { target } });
    for (const orderId of ["1", "2", "3"]) {
      await rig.publisher.publish(OrderPlacedSchema, { orderId });
      await rig.clock.pass(1_000);
      await turns();
    }
    const { deliveries, nextPageToken } = await ann.listDeliveries({ subscriptionId, pageSize: 2 });
    const rest = await ann.listDeliveries({ subscriptionId, pageSize: 2, pageToken: nextPageToken });
    assert.deepEqual(
      [...deliveries, ...rest.deliveries].map(({ status, attempt }) => [status, attempt]),
      [1, 2, 3].map(() => [Delivery_Status.DELIVERED, 1]),
    );
    const [newest] = deliveries;
    assert.ok(newest !== undefined);
    await ann.redeliver({ subscriptionId, deliveryId: newest.deliveryId });
    assert.deepEqual(await published.count(4), ["1", "2", "3", "3"]);
    const since = timestampFromMs(rig.wallMs() - 3_600_000);
    await turns();
    assert.equal((await ann.redeliver({ subscriptionId, since })).redelivered, 3);
    await published.count(7);
    const unknown = await failure(ann.redeliver({ subscriptionId, deliveryId: "x" }));
    assert.equal(unknown.code, Code.NotFound);
    assert.equal((await failure(ann.redeliver({ subscriptionId }))).code, Code.InvalidArgument);
  });

  test("TestSubscription says what would match, and why not", async () => {
    await using rig = await startDispatch();
    const ann = rig.subscriptions("ann");
    const filter = { exact: { subject: "8" }, cel: "data.total_cents > 10" };
    await ann.createSubscription({ subscriptionId, subscription: { ...toAudit, filter } });
    const event = {
      ...{ specversion: "1.0", id: "1", source: "/shop", type: "tsms.test.v1.OrderPlaced" },
      ...{ subject: "7", data: { orderId: "7", totalCents: "11" } },
    };
    const eventJson = JSON.stringify(event);
    const { matches, findings } = await ann.testSubscription({ subscriptionId, eventJson });
    assert.equal(matches, false);
    assert.deepEqual(
      findings.map(({ path, holds }) => [path, holds]),
      [
        ["filter.exact.subject", false],
        ["filter.cel", true],
      ],
    );
    const other = await ann.testSubscription({ subscription: { filter: { not: filter } }, eventJson });
    assert.equal(other.matches, true);
    const none = await failure(ann.testSubscription({ subscriptionId, eventJson: "{}" }));
    assert.equal(none.code, Code.InvalidArgument);
  });

  test("what another process changes counts here within 2 s", async () => {
    const published = new Handled<string>();
    const store = memoryDispatchStore();
    await using one = await startDispatch({ store });
    await using two = await startDispatch({ store, rooms: { orders: roomsInto(published) } });
    await one.subscriptions("ann").createSubscription({ subscriptionId, subscription: toAudit });
    await two.clock.pass(1_500);
    await turns();
    assert.match(two.dispatcher.describe().join(), /1 topic/);
    await one.subscriptions("ann").deleteSubscription({ subscriptionId });
    await two.clock.pass(1_500);
    await turns();
    assert.match(two.dispatcher.describe().join(), /none yet/);
  });
});

suite("events of callers, 56:", () => {
  const structured = (event: object) => ({
    contentType: "application/cloudevents+json",
    data: Buffer.from(JSON.stringify(event)),
  });
  const event = { specversion: "1.0", id: "1", source: "/shop", type: "tsms.test.v1.OrderPlaced" };

  test("binary mode over HTTP is answered with 202, and dispatched", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({
      rooms: { orders: roomsInto(published) },
      subscriptions: { live: { target: { case: "room", value: { topic: "orders", name: "all" } } } },
    });
    await using http = new HttpServer({ port: 0, upstream: rig.grpc, forwardHeaders: cloudEventHeaders });
    http.addService(rig.dispatcher.events).addService(rig.dispatcher.subscriptions);
    await http.start();
    const answer = await fetch(`${urlOf(http)}/v1/events`, {
      method: "POST",
      headers: {
        "ce-specversion": "1.0",
        "ce-id": "e1",
        "ce-source": "/shop",
        "ce-type": "tsms.test.v1.OrderPlaced",
        "content-type": "application/json",
      },
      body: '{"orderId":"7"}',
    });
    assert.equal(answer.status, 202);
    assert.deepEqual(await answer.json(), { id: "e1", topic: "orders" });
    assert.deepEqual(await published.count(1), ["7"]);
    const made = await fetch(`${urlOf(http)}/v1/subscriptions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"subscriptionId":"partner","subscription":{"filter":{"types":["tsms.test.v1.OrderPlaced"],"cel":"data.total_cents > 10000"},"topic":"audit"}}',
    });
    assert.equal(made.status, 200);
    const listed = await (await fetch(`${urlOf(http)}/v1/subscriptions`)).text();
    assert.match(listed, /"subscriptionId":"partner"/);
  });

  test("structured mode keeps attributes and extensions", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({
      rooms: { orders: roomsInto(published) },
      subscriptions: {
        live: {
          filter: { exact: { tenant: "acme", source: "/shop" } },
          target: { case: "room", value: { topic: "orders", name: "all" } },
        },
      },
    });
    await rig.events.publishEvent(structured({ ...event, tenant: "other", data: { orderId: "1" } }));
    await rig.events.publishEvent(structured({ ...event, id: "2", tenant: "acme", data: { orderId: "2" } }));
    assert.deepEqual(await published.count(1), ["2"]);
  });

  const refused: readonly [name: string, event: object, text: RegExp][] = [
    ["an unknown type", { ...event, type: "nope" }, /no event of the type "nope"/],
    ["a type of another topic", { ...event, type: "tsms.test.v1.StockCounted", data: {} }, /topic is stock/],
    ["a missing attribute", { specversion: "1.0", id: "1" }, /not source, type/],
    ["another version", { ...event, specversion: "0.3" }, /specversion/],
    ["bad data", { ...event, data: { orderId: 7 } }, /no message of/],
    ["no key", { ...event, data: {} }, /order_id must be set/],
  ];
  for (const [name, given, text] of refused) {
    test(`an event with ${name} is refused`, async () => {
      await using rig = await startDispatch();
      const error = await failure(rig.events.publishEvent(structured(given)));
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.rawMessage, text);
    });
  }

  test("a body without attributes is refused", async () => {
    await using rig = await startDispatch();
    const error = await failure(
      rig.events.publishEvent({ contentType: "application/json", data: Buffer.from("{}") }),
    );
    assert.match(error.rawMessage, /no attributes of CloudEvents/);
  });
});

suite("subscriptions with an order, 52:", () => {
  test("events of a key wait for one that fails, those of other keys do not", async () => {
    const handled = new Handled<string>();
    let failures = 2;
    const rooms = {
      async publish(_room: string, { orderId, note }: { readonly orderId: string; readonly note: string }) {
        if (orderId === "1" && note === "a" && failures-- > 0) throw new Error("away");
        handled.add(`${orderId}${note}`);
      },
    };
    await using rig = await startDispatch({
      rooms: { orders: { publish: (room, message) => rooms.publish(room, message) } },
      subscriptions: {
        live: { ordered: true, target: { case: "room", value: { topic: "orders", name: "all" } } },
      },
    });
    for (const [orderId, note] of [
      ["1", "a"],
      ["1", "b"],
      ["2", "a"],
      ["1", "c"],
    ] as const)
      await rig.publisher.publish(OrderPlacedSchema, { orderId, note });
    assert.deepEqual(await handled.count(1), ["2a"]);
    await pass(rig, 10_000);
    assert.deepEqual(await handled.count(4), ["2a", "1a", "1b", "1c"]);
  });

  test("a paused one gets its events in order when it is resumed", async () => {
    const published = new Handled<string>();
    await using rig = await startDispatch({ rooms: { orders: roomsInto(published) } });
    const ann = rig.subscriptions("ann");
    const target = { case: "room", value: { topic: "orders", name: "all" } } as const;
    await ann.createSubscription({ subscriptionId, subscription: { target, ordered: true } });
    await turns();
    await ann.pauseSubscription({ subscriptionId });
    for (const orderId of ["1", "2", "3"]) await rig.publisher.publish(OrderPlacedSchema, { orderId });
    await pass(rig, 10_000);
    assert.equal(published.items.length, 0);
    await ann.resumeSubscription({ subscriptionId });
    assert.deepEqual(await published.count(3), ["1", "2", "3"]);
  });

  test("their dead letters are listed, replayed in order and dropped with those of tasks, or by their own topic", async () => {
    const published = new Handled<string>();
    let isBroken = true;
    const rooms = {
      async publish(room: string, { orderId }: { readonly orderId: string }) {
        if (isBroken) throw new ConnectError("no such room", Code.NotFound);
        published.add(`${room} ${orderId}`);
      },
    };
    const to = (name: string) => ({ case: "room", value: { topic: "orders", name } }) as const;
    await using rig = await startDispatch({
      rooms: { orders: { publish: (room, message) => rooms.publish(room, message) } },
      subscriptions: { plain: { target: to("plain") }, ordered: { ordered: true, target: to("ordered") } },
    });
    const own = "ts-ms.dispatch.ordered.configuration.ordered";
    const letters = rig.dispatcher.deadLetters("ts-ms.dispatch.tasks");
    const letterCounts = async () => [await letters.count(), await rig.dispatcher.deadLetters(own).count()];
    for (const orderId of ["1", "2"]) await rig.publisher.publish(OrderPlacedSchema, { orderId });
    await turns();
    assert.deepEqual(await letterCounts(), [4, 2]);
    assert.equal((await all(letters.list({ reason: "permanent" }))).length, 4);
    assert.equal((await all(letters.list({ limit: 3 }))).length, 3);
    isBroken = false;
    assert.equal(await letters.replay({ limit: 3 }), 3);
    await published.count(3);
    assert.deepEqual(await letterCounts(), [1, 1]);
    assert.equal(await letters.replay({}), 1);
    assert.deepEqual((await published.count(4)).toSorted(), ["ordered 1", "ordered 2", "plain 1", "plain 2"]);
    isBroken = true;
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "3" });
    await turns();
    const { administered } = rig.dispatcher;
    assert.ok(administered.subscriptions.some(({ topic, dead }) => topic === own && dead["permanent"] === 3));
    assert.equal(await administered.deadLetters("ts-ms.dispatch.tasks", "ts-ms.dispatch").drop({}), 2);
    assert.deepEqual(await letterCounts(), [0, 0]);
    assert.throws(() => rig.dispatcher.deadLetters("nope"), /there is no subscription nope/);
  });
});

function roomsInto(published: Handled<string>) {
  return {
    async publish(_room: string, { orderId }: { readonly orderId: string }) {
      published.add(orderId);
    },
  };
}

function urlOf(http: HttpServer): string {
  return `http://127.0.0.1:${http.address?.port}`;
}

async function pass(rig: DispatchRig, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await rig.clock.pass(1_000);
    await turns(3);
  }
}
