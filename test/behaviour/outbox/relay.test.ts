import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import {
  OutboxRelay,
  type OutboxRow,
  type RelayInit,
  sqliteStore,
  type SqliteStore,
} from "../../../src/entries/outbox.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { eventMessage, publishIn } from "../../support/outbox-messages.ts";
import { ScriptedBroker } from "../../support/scripted-broker.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A store in memory. */
async function memoryStore(): Promise<SqliteStore> {
  const store = sqliteStore(":memory:");
  await store.migrate();
  return store;
}

/** A relay by a clock of its own, which looks for rows by itself once in an hour. */
async function startRelay(t: TestContext, init: RelayInit, clock = new VirtualClock()): Promise<OutboxRelay> {
  const relay = new OutboxRelay({ pollMs: 3_600_000, ...init }, { clock, random: () => 0.5 });
  await relay.start();
  t.after(() => relay.gracefulStop());
  return relay;
}

function publish(store: SqliteStore, ...ids: readonly string[]): Promise<void> {
  return store.transact(undefined, (tx) => {
    for (const id of ids) void publishIn(tx, eventMessage(id, { key: id.split(" ")[1] }));
  });
}

async function idsOf(store: SqliteStore, table: string): Promise<unknown[]> {
  const { rows } = await store.transact(undefined, (tx) => tx.query(`select id from ${table} order by seq`));
  return rows.map(({ id }) => id);
}

/** Resolves when everything is done that waits for no timer and no other process. */
async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

describe("a relay", () => {
  test("publishes what is there, oldest first, is woken by commits, and deletes what is confirmed", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    await publish(store, "1", "2");
    const relay = await startRelay(t, { store, broker });
    assert.equal(relay.state, "ready");
    await broker.confirms(2);
    await publish(store, "3");
    await broker.confirms(3);
    await idle();
    assert.deepEqual(broker.ids, ["1", "2", "3"]);
    assert.deepEqual(broker.confirmed[2], eventMessage("3"));
    assert.deepEqual(await idsOf(store, "ts_ms_outbox"), []);
  });

  test("reads so many rows at once, and goes on at once", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    await publish(store, "1", "2", "3", "4", "5");
    await startRelay(t, { store, broker, batch: 2 });
    await broker.confirms(5);
    assert.deepEqual(broker.batches, [["1", "2"], ["3", "4"], ["5"]]);
  });

  test("a batch is bounded by its bytes", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const body = new Uint8Array(9 * 1024 ** 2);
    await store.transact(undefined, (tx) => {
      for (const id of ["1", "2", "3"]) void publishIn(tx, eventMessage(id, { body }));
    });
    await startRelay(t, { store, broker });
    await broker.confirms(3);
    assert.deepEqual(broker.batches, [["1", "2"], ["3"]]);
  });

  test("finds rows that no commit of its process told of, by its poll or when asked", async (t) => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "shop.db");
    const [store, other] = [sqliteStore(path), sqliteStore(path)];
    await store.migrate();
    const clock = new VirtualClock();
    const broker = new ScriptedBroker();
    const relay = await startRelay(t, { store, broker, pollMs: 500 }, clock);
    await idle();
    await publish(other, "1");
    await idle();
    assert.deepEqual(broker.ids, []);
    await clock.pass(500);
    await broker.confirms(1);
    await publish(other, "2");
    relay.wake();
    await broker.confirms(2);
    await relay.gracefulStop();
    await Promise.all([store.close(), other.close()]);
  });

  test("M21: of two relays one leads, and the other takes over within 5 s", async (t) => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "shop.db");
    const [store, other] = [sqliteStore(path), sqliteStore(path)];
    await store.migrate();
    const clock = new VirtualClock();
    const [first, second] = [new ScriptedBroker(), new ScriptedBroker()];
    const leader = await startRelay(t, { store, broker: first, pollMs: 500 }, clock);
    const standby = await startRelay(t, { store: other, broker: second, pollMs: 500 }, clock);
    assert.deepEqual([leader.state, standby.state], ["ready", "ready"]);
    await publish(other, "1");
    await clock.pass(5_000);
    assert.deepEqual([first.ids, second.ids], [["1"], []]);
    await leader.gracefulStop();
    await publish(store, "2");
    await clock.pass(5_000);
    assert.deepEqual([first.ids, second.ids], [["1"], ["2"]]);
    await standby.gracefulStop();
    await Promise.all([store.close(), other.close()]);
  });

  test("a row that is refused for itself is dead after five times; others go on, those of its key behind it", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const tooLarge = new ConnectError("it has 2 MiB", Code.ResourceExhausted);
    broker.answer = ({ event }) => (event?.id === "1 a" ? tooLarge : "confirm");
    const dead: [string, string][] = [];
    const onDead = ({ id }: OutboxRow, { rawMessage }: ConnectError) => void dead.push([id, rawMessage]);
    const clock = new VirtualClock();
    await publish(store, "1 a");
    await startRelay(t, { store, broker, onDead, pollMs: 500 }, clock);
    await idle();
    await publish(store, "2 a", "3 b", "4");
    await clock.pass(34_000);
    assert.deepEqual(broker.ids, ["3 b", "4"]);
    assert.deepEqual(dead, []);
    await clock.pass(4_000);
    assert.deepEqual(dead, [["1 a", "it has 2 MiB"]]);
    assert.deepEqual(broker.ids, ["3 b", "4", "2 a"]);
    assert.equal(broker.batches.filter((ids) => ids.includes("1 a")).length, 5);
    assert.deepEqual(await idsOf(store, "ts_ms_outbox_dead"), ["1 a"]);
    assert.deepEqual(await idsOf(store, "ts_ms_outbox"), []);
  });

  test("a row that is no message is dead too", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    await store.transact(undefined, (tx) => {
      tx.query("insert into ts_ms_outbox (id, topic, type) values ('bad', 'orders', 't')");
      void publishIn(tx, eventMessage("good"));
    });
    const clock = new VirtualClock();
    const reasons: string[] = [];
    const onDead = (_: OutboxRow, { rawMessage }: ConnectError) => void reasons.push(rawMessage);
    await startRelay(t, { store, broker, onDead, pollMs: 500 }, clock);
    await clock.pass(40_000);
    assert.deepEqual(broker.ids, ["good"]);
    assert.match(reasons.join(), /a row of the outbox is no message: .* not source/);
  });

  test("a topic that takes nothing waits, however long, and holds no other topic", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const noQueue = new ConnectError("no queue takes stock", Code.Unavailable);
    let hasQueue = false;
    broker.answer = ({ to }) => (to.topic === "stock" && !hasQueue ? noQueue : "confirm");
    const clock = new VirtualClock();
    await store.transact(undefined, (tx) => {
      for (let at = 0; at < 600; at++) {
        void publishIn(tx, eventMessage(`stock ${at}`, { to: { kind: "topic", topic: "stock" } }));
      }
      void publishIn(tx, eventMessage("other"));
    });
    await startRelay(t, { store, broker, pollMs: 500 }, clock);
    await clock.pass(1_000);
    assert.deepEqual(broker.ids, ["other"]);
    await clock.pass(600_000);
    assert.deepEqual(broker.ids, ["other"]);
    hasQueue = true;
    await clock.pass(40_000);
    assert.equal(broker.ids.length, 601);
  });

  test("a broker that does not confirm is waited for; the stop cuts what is not confirmed, and it stays", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const { promise } = Promise.withResolvers<"confirm">();
    broker.answer = ({ event }) => (event?.id === "1" ? "confirm" : promise);
    const clock = new VirtualClock();
    await publish(store, "1", "2", "3");
    const relay = await startRelay(t, { store, broker, pollMs: 500 }, clock);
    await clock.pass(600_000);
    assert.deepEqual(broker.batches, [["1", "2", "3"]]);
    const stopped = relay.gracefulStop({ graceMs: 1_000 });
    await clock.pass(1_000);
    assert.deepEqual(await stopped, { finished: 1, notified: [], cut: ["orders 2", "orders 3"] });
    assert.equal(relay.state, "stop");
    assert.deepEqual(await idsOf(store, "ts_ms_outbox"), ["2", "3"]);
    const next = new ScriptedBroker();
    await startRelay(t, { store, broker: next }, clock);
    await next.confirms(2);
    assert.deepEqual(next.ids, ["2", "3"]);
  });

  test("a stop waits for the confirms of the batch under way, and deletes it", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const { promise, resolve } = Promise.withResolvers<"confirm">();
    broker.answer = () => promise;
    await publish(store, "1");
    const relay = await startRelay(t, { store, broker });
    await idle();
    const stopped = relay.gracefulStop();
    await publish(store, "2");
    resolve("confirm");
    assert.deepEqual(await stopped, { finished: 1, notified: [], cut: [] });
    assert.deepEqual(await idsOf(store, "ts_ms_outbox"), ["2"]);
  });

  test("a broker that throws, or gives too few outcomes, loses nothing", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    let times = 0;
    const bad = {
      publish: (...given: Parameters<ScriptedBroker["publish"]>) => {
        if (++times === 1) throw new Error("a bug");
        return times === 2 ? Promise.resolve([]) : broker.publish(...given);
      },
    };
    const clock = new VirtualClock();
    await publish(store, "1");
    await startRelay(t, { store, broker: bad, pollMs: 500 }, clock);
    await clock.pass(10_000);
    assert.deepEqual(broker.ids, ["1"]);
  });

  test("a store without tables is an error of the start", async () => {
    const store = sqliteStore(":memory:");
    const relay = new OutboxRelay({ store, broker: new ScriptedBroker() });
    await assert.rejects(
      relay.start(),
      (reason) => reason instanceof SetupError && reason.message.includes("migrate"),
    );
    assert.equal(relay.state, "error");
    await relay.gracefulStop();
    await store.close();
  });

  test("a relay that was not started stops", async () => {
    const relay = new OutboxRelay({ store: await memoryStore(), broker: new ScriptedBroker() });
    assert.deepEqual(await relay.gracefulStop(), { finished: 0, notified: [], cut: [] });
    assert.equal(relay.state, "stop");
  });

  test("the page of metrics has its figures", async (t) => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    broker.answer = ({ event }) =>
      event?.id === "1" ? "confirm" : new ConnectError("it is full", Code.Unavailable);
    await publish(store, "1", "2");
    const publishedMs = Date.now();
    while (Date.now() < publishedMs + 2) await idle(); // They have an age, in milliseconds.
    const metrics = new Metrics({ processMetrics: false });
    const relay = await startRelay(t, { store, broker });
    const end = relay.watch(metrics);
    await idle();
    const linesOf = async () =>
      (await metrics.page()).split("\n").filter((line) => line.startsWith("ts_ms_outbox_"));
    const lines = await linesOf();
    assert.ok(lines.includes("ts_ms_outbox_leader 1"), lines.join("\n"));
    assert.ok(lines.includes('ts_ms_outbox_relayed_total{result="confirmed"} 1'));
    assert.ok(lines.includes('ts_ms_outbox_relayed_total{result="unavailable"} 1'));
    assert.ok(
      lines.some((line) => /^ts_ms_outbox_pending 2$/.test(line)),
      "as it was when it began to lead",
    );
    assert.ok(
      lines.some((line) => /^ts_ms_outbox_oldest_seconds (?!0$)[\d.e-]+$/.test(line)),
      lines.join("\n"),
    );
    await relay.gracefulStop();
    assert.ok((await linesOf()).includes("ts_ms_outbox_leader 0"));
    end();
    assert.deepEqual(await linesOf(), []);
  });

  test("options that cannot be used", async () => {
    const store = await memoryStore();
    const broker = new ScriptedBroker();
    const bad: [object, RegExp][] = [
      [{ broker }, /the option store is missing: it must be a store/],
      [{ store }, /the option broker is missing/],
      [{ store, broker, batch: 0 }, /the option batch must be a whole number from 1 to 10000, not 0/],
      [{ store, broker, pollMs: 1 }, /the option pollMs must be 10 or more/],
      [{ store, broker, pol: 1 }, /there is no option "pol"/],
    ];
    for (const [options, text] of bad) {
      assert.throws(() => new OutboxRelay(options as RelayInit), text); // As callers without types may.
    }
  });
});
