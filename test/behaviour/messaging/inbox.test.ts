import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { suite, test, type TestContext } from "node:test";
import {
  type OrderPlaced,
  OrderPlacedSchema,
  StockCountedSchema,
  StockService,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { sqliteStore, type SqliteStore } from "../../../src/entries/outbox.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { messageOf } from "../../../src/messaging/message-context.ts";
import { failure } from "../../support/failure.ts";
import { never } from "../../support/inbox-calls.ts";
import { serveStock, stockTopic } from "../../support/message-calls.ts";
import { type MessageRig, startRig, turns } from "../../support/message-rig.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const group = "tsms.test.v1.MailService";
const same = { id: "7", source: "/shop" };
const key = { group, ...same };

/** A store in a new file, with a table of orders, and another connection to the file. */
async function openShop(t: TestContext) {
  const files = await TemporaryFiles.create();
  const path = join(files.folder, "shop.db");
  const store = sqliteStore(path);
  await store.migrate();
  const other = new DatabaseSync(path);
  t.after(async () => {
    other.close();
    await store.close();
    await files[Symbol.asyncDispose]();
  });
  other.exec("create table orders (id text)");
  const orders = () => other.prepare("select id from orders order by 1").all().length;
  return {
    store,
    orders,
    goAway: () => other.exec("alter table ts_ms_inbox rename to away"),
    comeBack: () => other.exec("alter table away rename to ts_ms_inbox"),
  };
}

/** Inserts an order in the transaction of a call. */
function place(store: SqliteStore, context: HandlerContext): Promise<object> {
  return store.transact(context, (tx) => {
    tx.query("insert into orders values (?)", ["7"]);
    return {};
  });
}

async function isDone(store: SqliteStore): Promise<boolean> {
  return (await store.done([key], { signal: never })).length === 1;
}

/** Resolves when a subscription has settled messages in these ways. */
async function settled(rig: Pick<MessageRig, "messages">, topic: string, expected: object, of = group) {
  const now = () =>
    rig.messages.subscriptions.find((each) => each.topic === topic && each.group === of)?.settled;
  const text = JSON.stringify(expected);
  await soon(() => JSON.stringify(now()) === text).catch(() => assert.deepEqual(now(), expected));
}

/** Resolves when something holds, which must be so within 5 s. */
async function soon(holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + 5_000;
  while (!holds() && performance.now() < untilMs) await turns(1);
  assert.ok(holds());
}

suite("a server of messages with an inbox:", () => {
  test("45 a message that comes again runs once", async (t) => {
    const { store } = await openShop(t);
    let runs = 0;
    await using rig = await startRig({
      inbox: store,
      mail: {
        onStockCounted() {
          runs++;
          return {};
        },
      },
    });
    await rig.events.publish(StockCountedSchema, {}, same);
    await settled(rig, "stock", { ok: 1 });
    assert.equal(await isDone(store), true);
    await rig.events.publish(StockCountedSchema, {}, same);
    await settled(rig, "stock", { ok: 1, duplicate: 1 });
    await rig.events.publish(StockCountedSchema, {}, { ...same, source: "/other" });
    await settled(rig, "stock", { ok: 2, duplicate: 1 });
    assert.equal(runs, 2);
    const metrics = new Metrics({ processMetrics: false });
    store.watch(metrics);
    // What came again, and the look of this test.
    const known = 'ts_ms_inbox_duplicates_total{group="tsms.test.v1.MailService"} 2\n';
    assert.ok((await metrics.page()).includes(known));
  });

  test("45 each group runs a message once", async (t) => {
    const { store } = await openShop(t);
    const runs: string[] = [];
    await using rig = await startRig({
      inbox: store,
      mail: {
        onOrderPlaced() {
          runs.push("mail");
          return {};
        },
        async indexOrders(messages: AsyncIterable<OrderPlaced>) {
          for await (const { orderId } of messages) runs.push(`search ${orderId}`);
          return {};
        },
      },
    });
    for (let i = 0; i < 2; i++) {
      await rig.events.publish(OrderPlacedSchema, { orderId: "7" }, same);
      await turns();
      await rig.clock.pass(60);
      await settled(rig, "orders", i === 0 ? { ok: 1 } : { ok: 1, duplicate: 1 });
      await settled(rig, "orders", i === 0 ? { ok: 1 } : { ok: 1, duplicate: 1 }, "search");
    }
    assert.deepEqual(runs.toSorted(), ["mail", "search 7"]);
  });

  test("45 one message of a batch was done before: the others run, it does not", async (t) => {
    const { store } = await openShop(t);
    const runs: string[] = [];
    await store.record([{ ...key, group: "search" }], { signal: never });
    await using rig = await startRig({
      inbox: store,
      mail: {
        onOrderPlaced: () => ({}),
        async indexOrders(messages: AsyncIterable<OrderPlaced>) {
          for await (const { orderId } of messages) runs.push(orderId);
          return {};
        },
      },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "new" }, { id: "8", source: "/shop" });
    await rig.events.publish(OrderPlacedSchema, { orderId: "old" }, same);
    await turns();
    await rig.clock.pass(60);
    await settled(rig, "orders", { ok: 1, duplicate: 1 }, "search");
    assert.deepEqual(runs, ["new"]);
  });

  test("45 a failed run leaves no record: the next attempt runs", async (t) => {
    const { store, orders } = await openShop(t);
    const done: boolean[] = [];
    await using rig = await startRig({
      inbox: store,
      retry: { mode: "hold" },
      mail: {
        async onStockCounted(_, context) {
          done.push(await isDone(store));
          if (messageOf(context)?.attempt === 1) throw new ConnectError("not now", Code.Aborted);
          await store.transact(context, (tx) => {
            tx.query("insert into orders values ('7')");
            if (messageOf(context)?.attempt === 2) throw new ConnectError("nor now", Code.Aborted);
          });
          return {};
        },
      },
    });
    await rig.events.publish(StockCountedSchema, {}, same);
    for (const [run, pauseMs] of [1_200, 6_000].entries()) {
      await soon(() => done.length === run + 1);
      await turns();
      assert.equal(await isDone(store), false);
      await rig.clock.pass(pauseMs);
    }
    await settled(rig, "stock", { ok: 1 });
    assert.deepEqual([done, orders()], [[false, false, false], 1]);
    assert.equal(await isDone(store), true);
  });

  test("45 a dead letter leaves no record, and runs when it is replayed", async (t) => {
    const { store } = await openShop(t);
    let runs = 0;
    await using rig = await startRig({
      inbox: store,
      mail: {
        onStockCounted() {
          if (++runs === 1) throw new ConnectError("bad", Code.FailedPrecondition);
          return {};
        },
      },
    });
    await rig.events.publish(StockCountedSchema, {}, same);
    await settled(rig, "stock", { dead: 1 });
    assert.equal(await isDone(store), false);
    assert.equal(await rig.messages.replay("stock", group), 1);
    await settled(rig, "stock", { dead: 1, ok: 1 });
    assert.equal(runs, 2);
  });

  test("42 effects of `transact` in a handler are there once, whatever its handler makes of a duplicate", async (t) => {
    const { store, orders } = await openShop(t);
    const ends: string[] = [];
    await using rig = await startRig({
      inbox: store,
      inboxPrecheck: false,
      mail: {
        onStockCounted: ({ count }, context) =>
          place(store, context).then(
            (reply) => {
              ends.push("placed");
              return reply;
            },
            (reason: unknown) => {
              ends.push(ConnectError.from(reason).rawMessage);
              if (count === 1) return {};
              throw reason;
            },
          ),
      },
    });
    for (const count of [0, 1, 2]) {
      await rig.events.publish(StockCountedSchema, { count }, same);
      await settled(rig, "stock", count === 0 ? { ok: 1 } : { ok: 1, duplicate: count });
    }
    const refused = "handled before, nothing was done: message 7";
    assert.deepEqual(ends, ["placed", refused, refused]);
    assert.equal(orders(), 1);
    assert.equal(await rig.messages.deadLetters("stock", group).count(), 0);
  });

  test("47 while the inbox cannot be read messages are held, and no attempt is counted", async (t) => {
    const { store, goAway, comeBack } = await openShop(t);
    const attempts: (number | undefined)[] = [];
    await using rig = await startRig({
      inbox: store,
      mail: {
        onStockCounted(_, context) {
          attempts.push(messageOf(context)?.attempt);
          return {};
        },
      },
    });
    const pauses = () => rig.messages.subscriptions.find(({ topic }) => topic === "stock")?.pauses ?? [];
    goAway();
    await rig.events.publish(StockCountedSchema, {}, same);
    await soon(() => pauses().includes("inbox"));
    for (let second = 0; second < 10; second++) {
      await rig.clock.pass(1_000);
      await turns();
    }
    await settled(rig, "stock", {});
    assert.deepEqual(attempts, []);
    comeBack();
    await rig.clock.pass(1_000);
    await settled(rig, "stock", { ok: 1 });
    assert.deepEqual([attempts, pauses()], [[1], []]);
    assert.equal(await rig.messages.deadLetters("stock", group).count(), 0);
  });

  test("45, 47 a run whose record cannot be written is not run again, and is settled when it is written", async (t) => {
    const { store, goAway, comeBack } = await openShop(t);
    let runs = 0;
    await using rig = await startRig({
      inbox: store,
      mail: {
        onStockCounted() {
          runs++;
          goAway();
          return {};
        },
      },
    });
    await rig.events.publish(StockCountedSchema, {}, same);
    await soon(() => runs === 1);
    for (let second = 0; second < 3; second++) {
      await turns();
      await rig.clock.pass(1_000);
    }
    await settled(rig, "stock", {});
    comeBack();
    await rig.clock.pass(1_000);
    await settled(rig, "stock", { ok: 1 });
    assert.equal(runs, 1);
    assert.equal(await isDone(store), true);
  });

  test("31 a message whose runs have not ended in five processes is dead, and is not run", async (t) => {
    const { store } = await openShop(t);
    const broker = memoryBroker();
    let runs = 0;
    const hang = (_: unknown, { signal }: HandlerContext) =>
      new Promise<never>((_resolve, reject) => {
        runs++;
        signal.addEventListener("abort", () => reject(signal.reason as Error)); // Of our contexts.
      });
    const stop = async (rig: MessageRig) => {
      const stopped = rig.messages.gracefulStop({ graceMs: 0 });
      await rig.clock.pass(1_000);
      await stopped;
    };
    const first = await startRig({ broker, inbox: store, mail: { onStockCounted: hang } });
    await first.events.publish(StockCountedSchema, {}, same);
    await soon(() => runs === 1);
    await stop(first); // Released: a stop leaves no record, and no note.
    assert.equal(await isDone(store), false);
    const second = await startRig({ broker, inbox: store, mail: { onStockCounted: hang } });
    await soon(() => runs === 2);
    await stop(second);
    assert.equal(await store.noteRun(key, { signal: never }), 1);
    for (let run = 2; run <= 5; run++) await store.noteRun(key, { signal: never });
    await using third = await startRig({ broker, inbox: store, mail: { onStockCounted: hang } });
    await settled(third, "stock", { dead: 1 });
    assert.equal(runs, 2);
    const [statistics] = third.messages.subscriptions.filter(({ topic }) => topic === "stock");
    assert.deepEqual(statistics?.dead, { "crash-loop": 1 });
  });

  test("17, 45 a call that was done before is ALREADY_EXISTS, and one that waits for the inbox is answered", async (t) => {
    const { store, goAway, comeBack, orders } = await openShop(t);
    const broker = memoryBroker();
    await using served = await serveStock(
      broker,
      { sell: (_, context) => place(store, context).then(() => ({ left: 5 })) },
      { inbox: store },
    );
    const client = createClient(StockService, dial(broker, { source: "/shop" }));
    const headers = { "idempotency-key": "k" };
    assert.equal((await client.sell({}, { headers })).left, 5);
    const again = await failure(client.sell({}, { headers }), Code.AlreadyExists);
    assert.match(again.rawMessage, /^handled before, nothing was done: message /);
    await settled(served, stockTopic, { ok: 1, duplicate: 1 }, "stock");
    goAway();
    const waiting = client.sell({});
    await soon(() => served.messages.subscriptions[0]?.pauses.includes("inbox") === true);
    comeBack();
    assert.equal((await waiting).left, 5);
    assert.equal(orders(), 2);
  });
});
