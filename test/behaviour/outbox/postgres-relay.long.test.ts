import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { after, before, beforeEach, describe, test, type TestContext } from "node:test";
import type pg from "pg";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import {
  OutboxRelay,
  postgresStore,
  type PostgresStore,
  type RelayInit,
} from "../../../src/entries/outbox.ts";
import { isCallError, never } from "../../support/inbox-calls.ts";
import { eventMessage, publishIn } from "../../support/outbox-messages.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { ScriptedBroker } from "../../support/scripted-broker.ts";
import { seeded } from "../../support/virtual-clock.ts";

describe("a relay of PostgreSQL", { skip: withoutPostgres }, () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  let store: PostgresStore;

  before(async () => {
    server = await PostgresServer.start();
    pool = server.pool();
    store = postgresStore(pool);
    await store.migrate();
  });
  after(() => server?.stop());
  beforeEach(() => pool.query("truncate ts_ms_outbox, ts_ms_outbox_dead restart identity"));

  async function startRelay(t: TestContext, init: Partial<RelayInit>, of = store): Promise<OutboxRelay> {
    const relay = new OutboxRelay({ store: of, broker: new ScriptedBroker(), ...init });
    t.after(() => relay.gracefulStop({ graceMs: 0 }));
    await relay.start();
    return relay;
  }

  async function isThere(): Promise<boolean> {
    return pool.query("select 1").then(
      () => true,
      () => false,
    );
  }

  function publish(...ids: readonly string[]): Promise<void> {
    return store.transact(undefined, async (tx) => {
      for (const id of ids) await publishIn(tx, eventMessage(id));
    });
  }

  async function count(table = "ts_ms_outbox"): Promise<number> {
    const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    return rows[0]?.n ?? 0;
  }

  /** Resolves when the outbox has no rows. */
  async function isEmpty(): Promise<void> {
    // Connections of the pool may have been killed.
    while ((await count().catch(() => 1)) > 0);
  }

  test("a commit of the process reaches the broker at once, in the order of the rows", async (t) => {
    const broker = new ScriptedBroker();
    const relay = await startRelay(t, { broker, pollMs: 3_600_000 });
    assert.equal(relay.state, "ready");
    await publish("1", "2");
    await publish("3");
    await broker.confirms(3);
    await isEmpty();
    assert.deepEqual(broker.ids, ["1", "2", "3"]);
    assert.deepEqual(broker.confirmed[0], eventMessage("1"));
  });

  test("a batch is bounded by rows and bytes, and excludes what waits", async (t) => {
    const leadership = await store.lead({ lock: "test", notified: undefined, signal: never });
    assert.ok(leadership);
    t.after(() => leadership.close());
    await store.transact(undefined, async (tx) => {
      const body = new Uint8Array(100);
      await publishIn(tx, eventMessage("1", { body, key: "a" }), eventMessage("2", { body, key: "b" }));
      await publishIn(tx, eventMessage("3", { body: undefined }));
      await publishIn(tx, eventMessage("4", { to: { kind: "topic", topic: "other" }, key: "a" }));
    });
    const none = { topics: [], seqs: [], keys: [] };
    const read = async (limit: number, maxBytes: number, except = {}): Promise<string[]> => {
      const rows = await leadership.read({ limit, maxBytes, except: { ...none, ...except } });
      return rows.map(({ id }) => id);
    };
    assert.deepEqual(await read(10, 1_000), ["1", "2", "3", "4"]);
    assert.deepEqual(await read(3, 1_000), ["1", "2", "3"]);
    assert.deepEqual(await read(10, 1), ["1"]);
    assert.deepEqual(await read(10, 150), ["1", "2"]);
    assert.deepEqual(await read(10, 1_000, { topics: ["orders"] }), ["4"]);
    assert.deepEqual(await read(10, 1_000, { keys: [{ topic: "orders", key: "a" }] }), ["2", "3", "4"]);
    assert.deepEqual(await read(10, 1_000, { seqs: [3n] }), ["1", "2", "4"]);
    const { pending, oldestMs } = await leadership.measure();
    assert.equal(pending, 4);
    assert.ok(oldestMs >= 0 && oldestMs < 60_000);
  });

  test("a row that is refused for good is moved with its error", async (t) => {
    await publish("1", "2");
    const leadership = await store.lead({ lock: "test", notified: undefined, signal: never });
    assert.ok(leadership);
    t.after(() => leadership.close());
    await leadership.bury(1n, Code.InvalidArgument, "it is bad");
    await leadership.bury(1n, Code.InvalidArgument, "it is bad");
    const { rows } = await pool.query("select id, code, reason from ts_ms_outbox_dead");
    assert.deepEqual(rows, [{ id: "1", code: Code.InvalidArgument, reason: "it is bad" }]);
    assert.equal(await count(), 1);
  });

  test("rows of other processes are told of, where that is asked for; without, the trigger goes", async (t) => {
    const triggers = () => pool.query("select tgname from pg_trigger where tgname like 'ts_ms%'");
    const broker = new ScriptedBroker();
    const relay = await startRelay(t, { broker, notify: true, pollMs: 3_600_000 });
    assert.equal((await triggers()).rows.length, 1);
    await pool.query(
      `insert into ts_ms_outbox (id, topic, type, headers) values ('sql', 'orders', 't', '{"ce_source":"/sql"}')`,
    );
    await broker.confirms(1);
    await relay.gracefulStop();
    await startRelay(t, { broker });
    await publish("1");
    await broker.confirms(2);
    assert.equal((await triggers()).rows.length, 0);
  });

  test("M21: a transaction that commits late is not left out", async (t) => {
    const broker = new ScriptedBroker();
    await startRelay(t, { broker, pollMs: 20 });
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = await pool.connect();
    await late.query("begin");
    await publishIn(store.enlist(late), eventMessage("late"));
    void promise.then(() => late.query("commit")).finally(() => late.release());
    await publish("early");
    await broker.confirms(1);
    await isEmpty();
    resolve();
    await broker.confirms(2);
    assert.deepEqual(broker.ids, ["early", "late"]);
  });

  test("M21: another relay takes over within 5 s when the connection of the first one ends", async (t) => {
    const [first, second] = [new ScriptedBroker(), new ScriptedBroker()];
    let isCut = false;
    const connect = () => (isCut ? Promise.reject(new Error("Connection terminated")) : pool.connect());
    await startRelay(t, { broker: first }, postgresStore({ connect }));
    const standby = await startRelay(t, { broker: second }, postgresStore(server.pool()));
    assert.equal(standby.state, "ready");
    const { promise } = Promise.withResolvers<"confirm">();
    first.answer = () => promise;
    await publish("1");
    while (first.batches.length === 0) await new Promise(setImmediate);
    const beganMs = performance.now();
    isCut = true;
    await pool.query(
      "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted",
    );
    await second.confirms(1);
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < 5_000, `it took ${tookMs} ms`);
    assert.deepEqual([first.ids, second.ids], [[], ["1"]]);
    const { rows } = await pool.query("select pid from pg_locks where locktype = 'advisory' and granted");
    assert.equal(rows.length, 1);
  });

  test("a relay whose store is away starts all the same, and works when it is there", async (t) => {
    await publish("1");
    await server.kill();
    // Processes of the server can outlive it for a moment, and answer.
    while (await isThere()) await turn();
    const broker = new ScriptedBroker();
    const relay = await startRelay(t, { broker });
    assert.equal(relay.state, "listen");
    await server.restart();
    await broker.confirms(1);
    assert.equal(relay.state, "ready");
  });

  test("a stop ends soon behind its grace period although the store does not answer", async (t) => {
    const broker = new ScriptedBroker();
    const relay = await startRelay(t, { broker, pollMs: 10 });
    const { rows } = await pool.query<{ pid: number }>(
      "select pid from pg_locks where locktype = 'advisory' and granted",
    );
    const pid = rows[0]?.pid ?? 0;
    assert.ok(pid > 0);
    process.kill(pid, "SIGSTOP");
    try {
      await new Promise((resolve) => setTimeout(resolve, 100)); // The relay asks, and is not answered.
      const beganMs = performance.now();
      await relay.gracefulStop({ graceMs: 100 });
      const tookMs = performance.now() - beganMs;
      assert.ok(tookMs < 5_000, `it took ${tookMs} ms`);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });

  test("a store without tables is an error of the start, and one that is away of a stop is none", async () => {
    const none = postgresStore(pool, { prefix: "none_" });
    const relay = new OutboxRelay({ store: none, broker: new ScriptedBroker() });
    await assert.rejects(
      relay.start(),
      (reason) => reason instanceof SetupError && reason.message.includes("migrate"),
    );
    await relay.gracefulStop();
  });

  test("M21: relays killed in batches, late commits, a broker that fails and a restart: nothing is missing", async (t) => {
    const seed = Number(process.env["SEED"] ?? 7);
    const random = seeded(seed);
    t.diagnostic(`SEED=${seed}`);
    const transactions = 1_500;
    const seen = new Map<string, number>();
    const published: string[] = [];
    const relays = new Set<OutboxRelay>();
    const makeRelay = async (): Promise<OutboxRelay> => {
      const broker = new ScriptedBroker();
      broker.answer = ({ event }) => {
        if (random() < 0.01) return new ConnectError("it is full", Code.Unavailable);
        const id = event?.id ?? "";
        seen.set(id, (seen.get(id) ?? 0) + 1);
        // Batches take a while, so that relays are killed in some.
        return random() < 0.2 ? new Promise((resolve) => setTimeout(resolve, 2, "confirm")) : "confirm";
      };
      const relay = new OutboxRelay({
        store: postgresStore(server.pool({ max: 2 })),
        broker,
        batch: 50,
        pollMs: 20,
      });
      relays.add(relay);
      await relay.start();
      return relay;
    };
    await Promise.all([makeRelay(), makeRelay()]);
    const chaos = (async () => {
      for (let round = 0; round < 6; round++) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        if (round === 3) {
          await server.kill();
          await server.restart();
        } else if (round % 2 === 0) {
          await pool
            .query("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted")
            .catch(() => {});
        } else {
          const [oldest] = relays;
          assert.ok(oldest);
          relays.delete(oldest);
          await makeRelay();
          await oldest.gracefulStop({ graceMs: 0 });
        }
      }
    })();
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < transactions) {
        const id = String(next++);
        try {
          await store.transact(undefined, async (tx) => {
            // Its number is taken here, and half of the transactions commit late.
            await tx.query("select nextval(pg_get_serial_sequence('ts_ms_outbox', 'seq'))");
            await publishIn(tx, eventMessage(id));
            await tx.query("select pg_sleep($1)", [random() < 0.5 ? 0 : random() / 50]);
            if (random() < 0.1) throw new Error("rolled back");
          });
          published.push(id);
        } catch (reason) {
          if (reason instanceof ConnectError) isCallError(Code.Unavailable)(reason);
          else assert.match(String(reason), /rolled back/);
        }
      }
    };
    await Promise.all([...Array.from({ length: 8 }, writer), chaos]);
    await isEmpty();
    const missing = published.filter((id) => !seen.has(id));
    assert.deepEqual(missing, []);
    const twice = [...seen.values()].filter((times) => times > 1).length;
    t.diagnostic(`${published.length} committed, ${seen.size} published, ${twice} more than once`);
    const { rows } = await pool.query("select pid from pg_locks where locktype = 'advisory' and granted");
    assert.equal(rows.length, 1, "one relay leads");
    await Promise.all([...relays].map((relay) => relay.gracefulStop()));
  });
});
