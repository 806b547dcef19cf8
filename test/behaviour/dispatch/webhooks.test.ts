import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { Delivery_Status, Subscription_State } from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { memoryDispatchStore } from "../../../src/dispatch/memory-dispatch-store.ts";
import { type DispatchRig, type Given, startDispatch } from "../../support/dispatch-rig.ts";
import { failure } from "../../support/failure.ts";
import { turns } from "../../support/message-rig.ts";
import {
  allowing,
  type ReceivedHook,
  startReceiver,
  type WebhookReceiver,
} from "../../support/webhook-receiver.ts";

const hourMs = 3_600_000;

/** A subscription with a webhook. */
function webhook(
  url: string,
  more: { readonly filter?: { readonly types: string[] } } = {},
  headers: Record<string, string> = {},
): Given {
  return { ...more, target: { case: "webhook", value: { url, headers } } };
}

suite("webhooks:", () => {
  test("53 standardwebhooks verifies the request, which has the event as JSON and its attributes", async () => {
    await using receiver = await startReceiver();
    await using rig = await startDispatch({ webhooks: allowing(receiver) });
    const { secret } = await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url, {}, { "x-tenant": "acme" }),
    });
    const { id } = await rig.publisher.publish(OrderPlacedSchema, {
      orderId: "7",
      totalCents: 9007199254740993n,
    });
    const [hook] = await receiver.received.count(1);
    assert.ok(hook !== undefined);
    const { headers, body } = hook;
    // The clock of the test stands still, and the receiver compares with its own.
    const signed = new Webhook(secret).sign(
      String(headers["webhook-id"]),
      new Date(Number(headers["webhook-timestamp"]) * 1_000),
      body,
    );
    assert.equal(headers["webhook-signature"], signed);
    assert.deepEqual(JSON.parse(body), { orderId: "7", totalCents: "9007199254740993", note: "" });
    assert.equal(headers["ce-id"], id);
    assert.equal(headers["ce-type"], "tsms.test.v1.OrderPlaced");
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["x-tenant"], "acme");
    assert.match(String(headers["webhook-id"]), /^[\w-]{43}$/);
  });

  test("54 a failure takes the schedule, and each try has the same id and a time of its own", async () => {
    await using receiver = await startReceiver((response, number) => {
      response.writeHead(number < 3 ? 500 : 204).end();
    });
    await using rig = await startDispatch({
      webhooks: { ...allowing(receiver), delaysMs: [5_000, 60_000] },
    });
    await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    await settled();
    await pass(rig, 3_500);
    assert.equal(receiver.received.items.length, 1);
    await until(rig, receiver, 2, 4_000);
    await settled();
    await until(rig, receiver, 3, 80_000);
    await settled();
    const ids = new Set(receiver.received.items.map(({ headers }) => headers["webhook-id"]));
    assert.equal(ids.size, 1);
    const [first, second, third] = receiver.received.items.map(({ headers }) =>
      Number(headers["webhook-timestamp"]),
    );
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.ok(second - first >= 4 && second - first <= 8, `${second - first} s`);
    assert.ok(third - second >= 48 && third - second <= 80, `${third - second} s`);
    const { deliveries } = await rig.subscriptions().listDeliveries({ subscriptionId: "partner" });
    assert.deepEqual(
      deliveries.map(({ status, attempt, httpStatus }) => [status, attempt, httpStatus]),
      [[Delivery_Status.DELIVERED, 3, 204]],
    );
  });

  test("54 a receiver that answers 429 or 503 is asked again after its Retry-After", async () => {
    await using receiver = await startReceiver((response, number) => {
      if (number === 1) response.writeHead(503, { "retry-after": "40" }).end();
      else response.end();
    });
    await using rig = await startDispatch({ webhooks: allowing(receiver) });
    await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    await settled();
    await pass(rig, 38_000);
    assert.equal(receiver.received.items.length, 1);
    await until(rig, receiver, 2, 10_000);
  });

  test("54, M25 a redirect is a failure and is not followed, to metadata of a cloud or elsewhere", async () => {
    await using other = await startReceiver();
    await using receiver = await startReceiver((response, number) => {
      const location = number === 1 ? other.url : "http://169.254.169.254/latest/meta-data";
      response.writeHead(302, { location }).end();
    });
    await using rig = await startDispatch({
      webhooks: { ...allowing(receiver, other), delaysMs: [1_000] },
    });
    await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    await settled();
    await until(rig, receiver, 2, 5_000);
    await settled();
    assert.equal(other.received.items.length, 0);
    const { deliveries } = await rig.subscriptions().listDeliveries({ subscriptionId: "partner" });
    assert.deepEqual(
      deliveries.map(({ status, httpStatus, code, attempt }) => [status, httpStatus, code, attempt]),
      [[Delivery_Status.DEAD, 302, Code.Unavailable, 2]],
    );
  });

  test("54 a receiver that is gone disables its subscription, whose events are kept for resume", async () => {
    await using receiver = await startReceiver((response, number) => {
      response.writeHead(number === 1 ? 410 : 200).end();
    });
    await using rig = await startDispatch({ webhooks: allowing(receiver) });
    const subscriptions = rig.subscriptions("ann");
    await subscriptions.createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    await settled();
    const { state, stateReason } = await subscriptions.getSubscription({ subscriptionId: "partner" });
    assert.equal(state, Subscription_State.DISABLED);
    assert.match(stateReason, /410/);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "8" }); // Comes while it is disabled.
    await pass(rig, 60_000);
    assert.equal(receiver.received.items.length, 1);
    await subscriptions.resumeSubscription({ subscriptionId: "partner" });
    await until(rig, receiver, 2, 400_000);
    await pass(rig, 10_000);
    assert.deepEqual(
      receiver.received.items.map(({ body }) => fieldsOf(body)["orderId"]),
      ["7", "7"],
    );
  });

  test("54 a webhook that fails for disableAfterMs is disabled, and an event says so", async () => {
    await using receiver = await startReceiver((response, _, { headers }) => {
      const isNews = headers["ce-type"] === "ts_ms.dispatch.v1.SubscriptionDisabled";
      response.writeHead(isNews ? 200 : 500).end();
    });
    await using rig = await startDispatch({
      topics: ["orders", "ts-ms.dispatch"],
      webhooks: { ...allowing(receiver), delaysMs: [hourMs, hourMs, hourMs], disableAfterMs: 90 * 60_000 },
    });
    const subscriptions = rig.subscriptions("ann");
    await subscriptions.createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url, { filter: { types: ["tsms.test.v1.OrderPlaced"] } }),
    });
    await subscriptions.createSubscription({
      subscriptionId: "ops",
      subscription: webhook(receiver.url, {
        filter: { types: ["ts_ms.dispatch.v1.SubscriptionDisabled"] },
      }),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    await settled();
    for (let look = 0; look < 200 && news(receiver) === undefined; look++) {
      rig.clock.advance(600_000);
      await settled();
    }
    const said = fieldsOf(news(receiver)?.body ?? "{}");
    assert.equal(said["subscriptionId"], "partner");
    assert.equal(said["owner"], "ann");
    const { state, failingSince } = await subscriptions.getSubscription({ subscriptionId: "partner" });
    assert.equal(state, Subscription_State.DISABLED);
    assert.ok(failingSince !== undefined);
  });

  test("53 a rotated secret signs beside the new one for 24 hours", async () => {
    await using receiver = await startReceiver();
    await using rig = await startDispatch({ webhooks: allowing(receiver) });
    const subscriptions = rig.subscriptions();
    const { secret } = await subscriptions.createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    const { secret: next } = await subscriptions.rotateSecret({ subscriptionId: "partner" });
    assert.notEqual(next, secret);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    await receiver.received.count(1);
    rig.clock.advance(25 * hourMs);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "8" });
    const [both, one] = await receiver.received.count(2);
    assert.ok(both !== undefined && one !== undefined);
    assert.equal(
      both.headers["webhook-signature"],
      `${signatureOf(next, both)} ${signatureOf(secret, both)}`,
    );
    assert.equal(one.headers["webhook-signature"], signatureOf(next, one));
  });

  test("55 a receiver with verify is asked by OPTIONS, and must allow the origin", async () => {
    const allowed: string[] = [];
    await using receiver = await startReceiver((response, _, { method }) => {
      if (method === "OPTIONS" && allowed[0] !== undefined)
        response.setHeader("webhook-allowed-origin", allowed[0]);
      response.end();
    });
    await using rig = await startDispatch({ webhooks: { ...allowing(receiver), origin: "shop.example" } });
    const create = () =>
      rig.subscriptions().createSubscription({
        subscriptionId: "partner",
        subscription: { target: { case: "webhook", value: { url: receiver.url, verify: 1 } } },
      });
    const error = await failure(create());
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /WebHook-Allowed-Origin of shop\.example/);
    allowed.push("shop.example");
    await create();
    assert.equal(receiver.received.items[0]?.headers["webhook-request-origin"], "shop.example");
  });

  const refused: readonly [name: string, url: string, text: RegExp][] = [
    ["http", "http://partner.example/", /must be https:/],
    ["another port", "https://partner.example:8443/", /port must be one of 443/],
    ["a password", "https://a:b@partner.example/", /no user and no password/],
    ["a private address", "https://10.0.0.1/", /not public/],
    ["an address of the link", "https://169.254.169.254/", /not public/],
    ["a mapped address", "https://[::ffff:127.0.0.1]/", /not public/],
    ["no URL", "partner.example", /no absolute URL/],
  ];
  for (const [name, url, text] of refused) {
    test(`55 a webhook to ${name} is refused`, async () => {
      await using rig = await startDispatch();
      const error = await failure(
        rig.subscriptions().createSubscription({ subscriptionId: "x", subscription: webhook(url) }),
      );
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.rawMessage, text);
    });
  }

  test("M25 a name that turns private between look-ups is never connected to", async () => {
    let looked = 0;
    await using receiver = await startReceiver();
    await using rig = await startDispatch({
      webhooks: { ...allowing(receiver), allowAddresses: [], delaysMs: [1_000] },
      parts: {
        resolve: (_name, _options, done) => {
          looked++;
          done(null, [
            { address: "93.184.216.34", family: 4 },
            { address: "127.0.0.1", family: 4 },
          ]);
        },
      },
    });
    await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(`http://partner.example:${receiver.port}/`),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
    for (let look = 0; look < 20 && looked < 2; look++) await pass(rig, 1_000);
    await settled();
    assert.equal(looked, 2);
    assert.equal(receiver.received.items.length, 0);
    const { deliveries } = await rig.subscriptions().listDeliveries({ subscriptionId: "partner" });
    assert.match(deliveries[0]?.message ?? "", /an address that is not public/);
  });

  test("M25 an answer without an end is a failure at the time-out, and one of 1 GiB is cut at 64 KiB", async () => {
    let sent = 0;
    await using receiver = await startReceiver((response, _, { body }) => {
      response.writeHead(200);
      if (fieldsOf(body)["orderId"] === "slow") {
        response.write("x");
        return;
      }
      const chunk = Buffer.alloc(16_384);
      const write = (): void => {
        while (!response.destroyed && sent < 2 ** 30 && response.write(chunk)) sent += chunk.length;
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    });
    await using rig = await startDispatch({
      webhooks: { ...allowing(receiver), delaysMs: [] },
      logDeliveries: "all",
    });
    const subscriptions = rig.subscriptions();
    await subscriptions.createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "large" });
    await receiver.received.count(1);
    const list = async () => (await subscriptions.listDeliveries({ subscriptionId: "partner" })).deliveries;
    for (let look = 0; look < 100 && (await list()).length === 0; look++) await settled();
    assert.equal((await list())[0]?.status, Delivery_Status.DELIVERED);
    assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes`);
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "slow" });
    await receiver.received.count(2);
    await settled();
    await rig.clock.pass(15_000);
    for (let look = 0; look < 100 && (await list()).length < 2; look++) await settled();
    const [slow] = await list();
    assert.equal(slow?.code, Code.DeadlineExceeded);
    assert.equal(slow.status, Delivery_Status.DEAD);
  });

  test("53 an event that is too large as JSON is a dead letter", async () => {
    await using receiver = await startReceiver();
    await using rig = await startDispatch({ webhooks: { ...allowing(receiver), maxPayloadBytes: 100 } });
    await rig.subscriptions().createSubscription({
      subscriptionId: "partner",
      subscription: webhook(receiver.url),
    });
    await rig.publisher.publish(OrderPlacedSchema, { orderId: "7", note: "x".repeat(100) });
    await settled();
    const { deliveries } = await rig.subscriptions().listDeliveries({ subscriptionId: "partner" });
    assert.deepEqual(
      deliveries.map(({ status, code }) => [status, code]),
      [[Delivery_Status.DEAD, Code.ResourceExhausted]],
    );
    assert.equal(receiver.received.items.length, 0);
  });

  for (const name of ["host", "Content-Type", "webhook-id", "ce-id", "connection"]) {
    test(`50 a webhook cannot have the header ${name}`, async () => {
      await using rig = await startDispatch();
      const subscription = webhook("https://partner.example/", {}, { [name]: "x" });
      const error = await failure(
        rig.subscriptions().createSubscription({ subscriptionId: "x", subscription }),
      );
      assert.equal(error.code, Code.InvalidArgument);
    });
  }

  test("56 a store that outlives the process keeps no webhook without secretKey", async () => {
    await using rig = await startDispatch({ store: { ...asDurable() } });
    const error = await failure(
      rig.subscriptions().createSubscription({
        subscriptionId: "x",
        subscription: webhook("https://partner.example/"),
      }),
    );
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /secretKey/);
  });
});

function asDurable() {
  const store = memoryDispatchStore();
  return {
    isDurable: true,
    migrate: () => store.migrate(),
    changes: (since: number | undefined) => store.changes(since),
    find: (by: Parameters<typeof store.find>[0]) => store.find(by),
    list: (...of: Parameters<typeof store.list>) => store.list(...of),
    insert: (...of: Parameters<typeof store.insert>) => store.insert(...of),
    update: (...of: Parameters<typeof store.update>) => store.update(...of),
    note: (...of: Parameters<typeof store.note>) => store.note(...of),
    deliveries: (...of: Parameters<typeof store.deliveries>) => store.deliveries(...of),
    sweep: (...of: Parameters<typeof store.sweep>) => store.sweep(...of),
  };
}

function signatureOf(secret: string, { headers, body }: ReceivedHook): string {
  const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
  return new Webhook(secret).sign(String(headers["webhook-id"]), at, body);
}

/** The members of a body in JSON. */
function fieldsOf(body: string): Readonly<Record<string, unknown>> {
  const read: unknown = JSON.parse(body);
  assert.ok(typeof read === "object" && read !== null);
  return { ...read };
}

function news(receiver: WebhookReceiver): ReceivedHook | undefined {
  return receiver.received.items.find(
    ({ headers }) => headers["ce-type"] === "ts_ms.dispatch.v1.SubscriptionDisabled",
  );
}

/** Lets what is under way on sockets come to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) {
    await turns(4);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function pass(rig: DispatchRig, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await rig.clock.pass(1_000);
    await turns(3);
  }
}

/** Moves the clock until a receiver has got so many. */
async function until(
  rig: DispatchRig,
  { received }: WebhookReceiver,
  count: number,
  mostMs: number,
): Promise<void> {
  for (let passed = 0; passed < mostMs && received.items.length < count; passed += 1_000) {
    await pass(rig, 1_000);
    await turns(5);
  }
  await received.count(count);
}
