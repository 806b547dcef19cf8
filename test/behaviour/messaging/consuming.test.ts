import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  OrderCancelledSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  StockCountedSchema,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { unavailableFor } from "../../../src/core/errors/retry-info.ts";
import { type Principal, principal } from "../../../src/core/security/principal.ts";
import { messageOf } from "../../../src/messaging/message-context.ts";
import { all } from "../../support/failure.ts";
import { messageTo, publish } from "../../support/brokers/readings.ts";
import { Handled, impatientBroker, type MessageRig, startRig, turns } from "../../support/message-rig.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const group = "tsms.test.v1.MailService";

function statistics(rig: MessageRig, topic: string, of = group) {
  const found = rig.messages.subscriptions.find((each) => each.topic === topic && each.group === of);
  assert.ok(found !== undefined);
  return found;
}

/** A handler whose runs a test ends one by one. */
class Held<T> {
  readonly running: { readonly message: T; readonly signal: AbortSignal; end(error?: Error): void }[] = [];
  readonly begun = new Handled<T>();

  readonly handle = async (message: T, { signal }: { readonly signal: AbortSignal }): Promise<object> => {
    await new Promise<void>((resolve, reject) => {
      const run = {
        message,
        signal,
        end: (error?: Error): void => {
          this.running.splice(this.running.indexOf(run), 1);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.running.push(run);
      this.begun.add(message);
    });
    return {};
  };
}

suite("messages of a broker as calls:", () => {
  test("19 a published event becomes a call of the rpc that takes it, with all that is known of it", async () => {
    interface Got {
      readonly message: OrderPlaced;
      readonly of: ReturnType<typeof messageOf>;
      readonly timeoutMs: number | undefined;
    }
    const handled = new Handled<Got>();
    await using rig = await startRig({
      mail: {
        onOrderPlaced(message, context) {
          handled.add({ message, of: messageOf(context), timeoutMs: context.timeoutMs() });
          return {};
        },
      },
    });
    assert.equal(rig.messages.state, "ready");
    await rig.messages.check();
    const { id } = await rig.events.publish(OrderPlacedSchema, { orderId: "7", totalCents: 1999n });
    const [got] = await handled.count(1);
    assert.equal(got?.message.orderId, "7");
    assert.equal(got.message.totalCents, 1999n);
    assert.equal(got.of?.id, id);
    assert.equal(got.of.type, "tsms.test.v1.OrderPlaced");
    assert.equal(got.of.topic, "orders");
    assert.equal(got.of.group, group);
    assert.equal(got.of.key, "7");
    assert.equal(got.of.attempt, 1);
    assert.equal(got.of.redelivered, false);
    assert.ok(got.timeoutMs !== undefined && got.timeoutMs > 25_000 && got.timeoutMs <= 30_000);
    await turns();
    assert.deepEqual(statistics(rig, "orders").settled, { ok: 1 });
  });

  test("8 a type that no rpc of the group takes: events are settled, commands tried again and then dead", async () => {
    await using rig = await startRig({ mail: {}, stock: {} });
    await rig.events.publish(OrderCancelledSchema, { order: { id: 7n } });
    await turns();
    assert.deepEqual(statistics(rig, "orders", "search").settled, { skip: 1 });
    const topic = "tsms.test.v1.StockService";
    await publish(rig.broker, messageTo(topic, ""));
    await rig.clock.pass(200_000);
    assert.deepEqual(statistics(rig, topic, "stock").dead, { "unknown-type": 1 });
  });

  test("10 what has expired is not run, and no dead letter", async () => {
    const handled = new Handled<unknown>();
    await using rig = await startRig({ mail: { onOrderCancelled: (message) => handled.took(message) } });
    await rig.events.publish(OrderCancelledSchema, { order: { id: 7n } }, { expiresAfterMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await turns();
    await rig.events.publish(OrderCancelledSchema, { order: { id: 8n } }, { expiresAfterMs: 60_000 });
    await handled.count(1);
    await turns();
    const { settled } = statistics(rig, "orders");
    assert.ok(settled.ok === 1 || settled.ok === 2, JSON.stringify(settled));
    assert.equal(await rig.messages.deadLetters("orders", group).count(), 0);
  });

  test("19 one run at a time for each key, in order; without an order all at once, up to concurrency", async () => {
    const orders = new Held<OrderPlaced>();
    const stock = new Held<MessageShape<typeof StockCountedSchema>>();
    await using rig = await startRig({
      concurrency: 3,
      mail: { onOrderPlaced: orders.handle, onStockCounted: stock.handle },
    });
    for (const note of ["1", "2"]) {
      for (const orderId of ["a", "b"]) await rig.events.publish(OrderPlacedSchema, { orderId, note });
    }
    await turns();
    const running = () => orders.running.map(({ message }) => `${message.orderId}${message.note}`);
    assert.deepEqual(running(), ["a1", "b1"]);
    orders.running[0]?.end();
    await turns();
    assert.deepEqual(running(), ["b1", "a2"]);
    for (let i = 0; i < 5; i++) await rig.events.publish(StockCountedSchema, { count: i });
    await turns();
    assert.equal(stock.running.length, 3);
    assert.equal(statistics(rig, "stock").inFlight, 3);
    assert.equal(statistics(rig, "stock").buffered, 2);
    for (const run of [...orders.running, ...stock.running]) run.end();
    await turns();
    for (const run of [...stock.running]) run.end();
    await turns();
    assert.deepEqual(statistics(rig, "stock").settled, { ok: 5 });
  });

  test("M08 a slow handler stops its own subscription at `prefetch`, and no other", async () => {
    const slow = new Held<MessageShape<typeof StockCountedSchema>>();
    const orders = new Handled<OrderPlaced>();
    await using rig = await startRig({
      concurrency: 2,
      prefetch: 4,
      mail: { onStockCounted: slow.handle, onOrderPlaced: (message) => orders.took(message) },
    });
    for (let i = 0; i < 10; i++) await rig.events.publish(StockCountedSchema, { count: i });
    for (let i = 0; i < 10; i++) await rig.events.publish(OrderPlacedSchema, { orderId: String(i) });
    await orders.count(10);
    await turns();
    const { inFlight, buffered, received } = statistics(rig, "stock");
    assert.deepEqual([inFlight, buffered, received], [2, 2, 4]);
    while (slow.running.length > 0) {
      slow.running[0]?.end();
      await turns();
    }
    assert.deepEqual(statistics(rig, "stock").settled, { ok: 10 });
  });

  test("21 the bytes that wait are bounded, and fetching goes on when half of them are free", async () => {
    const slow = new Held<OrderPlaced>();
    await using rig = await startRig({
      concurrency: 1,
      maxBufferedBytes: 5_000,
      mail: { onOrderPlaced: slow.handle },
    });
    for (let i = 0; i < 20; i++) {
      await rig.events.publish(OrderPlacedSchema, { orderId: "a", note: "x".repeat(2_000) });
      await turns();
    }
    assert.deepEqual(statistics(rig, "orders").pauses, ["buffer"]);
    assert.ok(statistics(rig, "orders").bufferedBytes < 8_000);
    while (slow.running.length > 0) {
      slow.running[0]?.end();
      await turns();
    }
    assert.deepEqual(statistics(rig, "orders").settled, { ok: 20 });
    assert.deepEqual(statistics(rig, "orders").pauses, []);
  });

  test("22 a message that comes again while its handler runs takes the outcome of that run", async () => {
    const orders = new Held<MessageShape<typeof StockCountedSchema>>();
    await using rig = await startRig({ mail: { onStockCounted: orders.handle } });
    await rig.events.publish(StockCountedSchema, { sku: "A" }, { id: "same", source: "/s" });
    await turns();
    await rig.events.publish(StockCountedSchema, { sku: "A" }, { id: "same", source: "/s" });
    await turns();
    assert.equal(orders.running.length, 1);
    orders.running[0]?.end();
    await turns();
    assert.equal(orders.begun.items.length, 1);
    assert.deepEqual(statistics(rig, "stock").settled, { ok: 2 });
  });

  test("22 a follower of a run that has failed is run itself", async () => {
    const orders = new Held<MessageShape<typeof StockCountedSchema>>();
    await using rig = await startRig({ retry: { mode: "hold" }, mail: { onStockCounted: orders.handle } });
    for (let i = 0; i < 2; i++)
      await rig.events.publish(StockCountedSchema, { sku: "A" }, { id: "same", source: "/s" });
    await turns();
    orders.running[0]?.end(new ConnectError("x", Code.Aborted));
    await turns();
    assert.equal(orders.begun.items.length, 2);
    orders.running[0]?.end();
    await turns();
    assert.deepEqual(statistics(rig, "stock").settled, { ok: 1 });
  });

  test("23, 28: what the broker takes back is aborted, given back, and counts as no attempt", async () => {
    const orders = new Held<OrderPlaced>();
    const rig = await startRig({ mail: { onOrderPlaced: orders.handle } });
    await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
    await turns();
    const [run] = orders.running;
    const stopped = rig.broker.gracefulStop({ graceMs: 1_000 });
    await rig.clock.pass(1_000);
    await stopped;
    await turns();
    assert.equal(run?.signal.aborted, true);
    assert.equal((run.signal.reason as ConnectError).code, Code.Aborted);
    assert.deepEqual(statistics(rig, "orders").released, { lost: 1 });
    assert.deepEqual(statistics(rig, "orders").settled, {});
    run.end();
    await turns();
    await rig[Symbol.asyncDispose]();
  });

  test("24 a batch is one run; when it fails each message is run alone, in order", async () => {
    const runs: string[][] = [];
    await using rig = await startRig({
      mail: {
        async indexOrders(requests) {
          const notes = (await all(requests)).map(({ note }) => note);
          runs.push(notes);
          if (notes.includes("bad")) throw new ConnectError("x", Code.InvalidArgument);
          return {};
        },
      },
    });
    const send = (note: string) => rig.events.publish(OrderPlacedSchema, { orderId: note, note });
    for (let i = 0; i < 10; i++) await send(String(i));
    await turns();
    assert.deepEqual(runs, [["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]]);
    for (const note of ["a", "bad", "b"]) await send(note);
    await turns();
    assert.equal(runs.length, 1);
    await rig.clock.pass(50);
    assert.deepEqual(runs.slice(1), [["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
    assert.deepEqual(statistics(rig, "orders", "search").settled, { ok: 12, dead: 1 });
    const [letter] = await all(rig.messages.deadLetters("orders", "search").list({}));
    assert.ok(
      letter?.message.headers.some(([name, value]) => name === "x-ts-ms-dead-attempts" && value === "1"),
    );
  });

  test("25 gates see the door queue; what they deny is dead, what they cannot take now waits", async () => {
    const doors = new Set<string>();
    let answer: ConnectError | undefined = new ConnectError("not you", Code.PermissionDenied);
    const gate: Gate = {
      name: "test",
      admit(call) {
        doors.add(call.door);
        assert.equal(call.header("authorization"), undefined);
        if (answer !== undefined) throw answer;
      },
    };
    const handled = new Handled<number | undefined>();
    await using rig = await startRig({
      gates: [gate],
      mail: { onOrderPlaced: (_, context) => handled.took(messageOf(context)?.attempt) },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
    await turns();
    assert.deepEqual([...doors], ["queue"]);
    assert.deepEqual(statistics(rig, "orders").dead, { refused: 1 });
    for (const wait of [new ConnectError("full", Code.ResourceExhausted), unavailableFor("later", 3_000)]) {
      const count = handled.items.length;
      answer = wait;
      await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
      await turns();
      answer = undefined;
      await rig.clock.pass(999);
      assert.equal(handled.items.length, count);
      await rig.clock.pass(2_001);
      await handled.count(count + 1);
    }
    assert.deepEqual(handled.items, [1, 1]);
  });

  test("the option identity says who calls, and interceptors and observers see the call", async () => {
    const who: Principal = {
      id: "mailer",
      provider: "queue",
      kind: "custom",
      issuer: undefined,
      scopes: new Set(),
      roles: new Set(),
      claims: {},
      expiresAtMs: undefined,
    };
    const seen: string[] = [];
    const handled = new Handled<string | undefined>();
    await using rig = await startRig({
      identity: (message) => (message.key === "1" ? who : undefined),
      interceptors: [
        (next) => (request) => {
          seen.push(request.method.name);
          return next(request);
        },
      ],
      observers: [
        {
          started: ({ protocolName }) => seen.push(`started ${protocolName}`),
          finished: (_, error) => seen.push(`finished ${error?.code ?? "OK"}`),
        },
      ],
      mail: { onOrderPlaced: (_, context) => handled.took(principal(context)?.id) },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
    await handled.count(1);
    await turns();
    assert.deepEqual(seen, ["started memory", "OnOrderPlaced", "finished OK"]);
    await rig.events.publish(OrderPlacedSchema, { orderId: "2" });
    assert.deepEqual(await handled.count(2), ["mailer", undefined]);
  });

  test("M12 a dependency that is away for 3 minutes costs few runs and no dead letter", async () => {
    let isAway = true;
    let runs = 0;
    const handled = new Handled<number>();
    await using rig = await startRig({
      mail: {
        onStockCounted({ count }) {
          runs++;
          if (isAway) throw new ConnectError("the database is away", Code.Unavailable);
          handled.add(count);
          return {};
        },
      },
    });
    for (let i = 0; i < 2_000; i++) await rig.events.publish(StockCountedSchema, { count: i });
    await rig.clock.pass(180_000);
    assert.ok(runs <= 100, `${runs} runs in the outage`);
    assert.equal(statistics(rig, "stock").breaker, "open");
    assert.deepEqual(statistics(rig, "stock").pauses, ["breaker"]);
    isAway = false;
    await rig.clock.pass(66_000);
    await handled.count(2_000);
    await rig.clock.pass(60_000);
    const { dead, breaker, settled } = statistics(rig, "stock");
    assert.deepEqual(dead, {});
    assert.equal(breaker, "closed");
    assert.equal(settled.ok, 2_000);
  });

  test("27 a paused group runs and fetches nothing until it is resumed", async () => {
    const handled = new Handled<OrderPlaced>();
    await using rig = await startRig({ mail: { onOrderPlaced: (message) => handled.took(message) } });
    rig.messages.pause("orders", group);
    await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
    await turns();
    assert.deepEqual(statistics(rig, "orders").pauses, ["user"]);
    assert.equal(statistics(rig, "orders").received, 0);
    rig.messages.resume("orders", group);
    await handled.count(1);
    assert.throws(
      () => rig.messages.pause("order", group),
      /there is no subscription order .*; there is orders/,
    );
  });

  test("31 a message that was delivered too often is dead, and not run", async () => {
    const orders = new Held<OrderPlaced>();
    await using rig = await startRig({
      crashLimit: { deliveries: 2 },
      mail: { onOrderPlaced: orders.handle },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
    await turns();
    const again = await startRig({
      broker: rig.broker,
      crashLimit: { deliveries: 2 },
      mail: { onOrderPlaced: orders.handle },
    });
    for (let times = 0; times < 2; times++) {
      // The stop of one reader gives the message to the next one, without an attempt.
      const stopped = (times === 0 ? rig : again).messages.gracefulStop({ graceMs: 10 });
      await rig.clock.pass(1_000);
      await again.clock.pass(1_000);
      await stopped;
    }
    const third = await startRig({
      broker: rig.broker,
      crashLimit: { deliveries: 2 },
      mail: { onOrderPlaced: orders.handle },
    });
    await turns();
    assert.equal(orders.begun.items.length, 2);
    assert.deepEqual(statistics(third, "orders").dead, { "crash-loop": 1 });
    await third[Symbol.asyncDispose]();
    await again[Symbol.asyncDispose]();
  });

  test("35 what waits too long is given back, with all behind it in its lane", async () => {
    const orders = new Held<OrderPlaced>();
    const clock = new VirtualClock();
    const broker = impatientBroker(clock);
    await using rig = await startRig({
      clock,
      broker,
      ackTimeoutMs: 800_000,
      mail: { onOrderPlaced: orders.handle },
    });
    for (let i = 0; i < 3; i++)
      await rig.events.publish(OrderPlacedSchema, { orderId: "1", note: String(i) });
    await turns();
    await rig.clock.pass(850_000);
    await turns();
    assert.deepEqual(statistics(rig, "orders").released, { timeout: 2 });
    orders.running[0]?.end();
    await turns();
    orders.running[0]?.end();
    await turns();
    orders.running[0]?.end();
    await turns();
    assert.deepEqual(
      orders.begun.items.map(({ note }) => note),
      ["0", "1", "2"],
    );
  });

  test("35 settings by which messages wait for longer than the broker allows are refused with the numbers", async () => {
    const broker = impatientBroker(new VirtualClock());
    await assert.rejects(
      startRig({ broker, concurrency: 1, mail: {} }),
      /OnOrderPlaced \(orders, .*\) may be unsettled for \d+ ms: 64 rounds .* of 5 runs of 30000 ms .*ackTimeoutMs is 1500000/,
    );
  });

  for (const [name, message, expected] of [
    ["no protobuf", { body: Buffer.from([0xff, 0xff]) }, { undecodable: 1 }],
    ["a body of 5 MiB", { body: new Uint8Array(5 * 1024 * 1024) }, { "too-large": 1 }],
    ["another content type", { contentType: "text/csv" }, { undecodable: 1 }],
    ["another coding", { contentEncoding: "br" }, { undecodable: 1 }],
    ["no gzip", { contentEncoding: "gzip" }, { undecodable: 1 }],
    [
      "a wrong specversion",
      { event: undefined, headers: new Map([["ce_specversion", "9"]]) },
      { undecodable: 1 },
    ],
    ["no attributes", { event: undefined }, { "unknown-type": 1 }],
    ["no body", { body: undefined }, {}],
    [
      "2,000 headers",
      { headers: new Map(Array.from({ length: 2_000 }, (_, i) => [`header-${i}`, "x".repeat(8)] as const)) },
      { "too-large": 1 },
    ],
  ] as const) {
    test(`M20 ${name}: dead with its reason or skipped, and its neighbours are handled`, async () => {
      const handled = new Handled<OrderPlaced>();
      await using rig = await startRig({ mail: { onOrderPlaced: (order) => handled.took(order) } });
      const good = messageTo("orders", "");
      assert.ok(good.event !== undefined);
      const event = { ...good.event, type: "tsms.test.v1.OrderPlaced" };
      const body = toBinary(OrderPlacedSchema, {
        $typeName: "tsms.test.v1.OrderPlaced",
        orderId: "1",
        totalCents: 0n,
        note: "",
      });
      const neighbour = { ...good, event, body, key: "1" };
      await publish(
        rig.broker,
        neighbour,
        { ...neighbour, event: { ...event, id: "odd" }, ...message },
        {
          ...neighbour,
          event: { ...event, id: "third" },
        },
      );
      await handled.count(2);
      await turns();
      const { dead, settled } = statistics(rig, "orders");
      assert.deepEqual(dead, expected);
      assert.equal(settled.ok, 2);
    });
  }
});
