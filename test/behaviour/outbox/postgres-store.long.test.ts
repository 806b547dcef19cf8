import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { HandlerContext } from "@connectrpc/connect";
import type pg from "pg";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { postgresStore, type PostgresStore } from "../../../src/entries/outbox.ts";
import { InboxRun } from "../../../src/messaging/inbox.ts";
import {
  contextOf,
  inboxKey as key,
  isCallError as isError,
  never as signal,
} from "../../support/inbox-calls.ts";
import { eventMessage, publishIn } from "../../support/outbox-messages.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";

describe("a store in PostgreSQL", { skip: withoutPostgres }, () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  let store: PostgresStore;

  before(async () => {
    server = await PostgresServer.start();
    pool = server.pool();
    store = postgresStore(pool);
    await store.migrate();
    await pool.query("create table orders (id text primary key, cents bigint)");
  });
  after(() => server?.stop());
  beforeEach(() =>
    pool.query("truncate orders, ts_ms_outbox, ts_ms_outbox_dead, ts_ms_inbox, ts_ms_inbox_runs"),
  );

  async function idsOf(table: string): Promise<string[]> {
    const { rows } = await pool.query<{ id: string }>(`select id from ${table} order by 1`);
    return rows.map(({ id }) => id);
  }

  async function place(context: HandlerContext | undefined, id: string): Promise<string> {
    return store.transact(context, async (tx) => {
      await tx.query("insert into orders values ($1, $2)", [id, 7]);
      await publishIn(tx, eventMessage(id));
      return id;
    });
  }

  test("effects and events are committed together", async () => {
    assert.equal(await place(undefined, "1"), "1");
    assert.deepEqual([await idsOf("orders"), await idsOf("ts_ms_outbox")], [["1"], ["1"]]);
    const { rows } = await pool.query("select topic, key, type, headers, body from ts_ms_outbox");
    assert.deepEqual(rows, [
      {
        topic: "orders",
        key: null,
        type: "shop.v1.OrderPlaced",
        headers: {
          ce_specversion: "1.0",
          ce_id: "1",
          ce_source: "/shop",
          ce_type: "shop.v1.OrderPlaced",
          ce_time: "2026-09-21T14:13:20.000Z",
          "content-type": "application/protobuf",
        },
        body: Buffer.from("body of 1"),
      },
    ]);
  });

  test("an error of the handler rolls both back, and is what transact rejects with", async () => {
    const mine = new Error("mine");
    const done = store.transact(undefined, async (tx) => {
      await tx.query("insert into orders values ('1', 1)");
      await publishIn(tx, eventMessage("1"));
      throw mine;
    });
    await assert.rejects(done, (reason) => reason === mine);
    assert.deepEqual([await idsOf("orders"), await idsOf("ts_ms_outbox")], [[], []]);
  });

  test("the commit waits for publishes that are not awaited, and one that fails rolls back", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = store.transact(undefined, async (tx) => {
      void tx.include(async (add) => {
        await promise;
        await add([eventMessage("late")]);
      });
      setImmediate(resolve);
    });
    await done;
    assert.deepEqual(await idsOf("ts_ms_outbox"), ["late"]);
    const failing = store.transact(undefined, (tx) => {
      void tx.include(async (add) => {
        await add([eventMessage("other")]);
        throw new ConnectError("no key", Code.InvalidArgument);
      });
    });
    await assert.rejects(failing, isError(Code.InvalidArgument, /no key/));
    assert.deepEqual(await idsOf("ts_ms_outbox"), ["late"]);
  });

  test("behind its end a transaction takes neither publishes nor statements", async () => {
    const tx = await store.transact(undefined, (open) => open);
    await assert.rejects(
      publishIn(tx, eventMessage("1")),
      isError(Code.FailedPrecondition, /^the transaction has ended$/),
    );
    await assert.rejects(
      tx.query("select 1"),
      isError(Code.FailedPrecondition, /^the transaction has ended$/),
    );
  });

  test("many publishes are written in their order", async () => {
    const ids = Array.from({ length: 1_000 }, (_, at) => String(at));
    await store.transact(undefined, async (tx) => {
      for (const id of ids) await publishIn(tx, eventMessage(id));
    });
    const { rows } = await pool.query<{ id: string }>("select id from ts_ms_outbox order by seq");
    assert.deepEqual(
      rows.map(({ id }) => id),
      ids,
    );
  });

  test("a message goes to no queue of a group", async () => {
    const to = { kind: "queue", topic: "orders", group: "mail", queue: { kind: "again" } } as const;
    const done = store.transact(undefined, (tx) => publishIn(tx, eventMessage("1", { to })));
    await assert.rejects(done, isError(Code.InvalidArgument, /takes events and commands only/));
  });

  test("U+0000 in a key is refused", async () => {
    const done = store.transact(undefined, (tx) => publishIn(tx, eventMessage("1", { key: "a\0b" })));
    await assert.rejects(done, isError(Code.InvalidArgument, /U\+0000/));
  });

  test("conflicts and deadlocks are ABORTED", async () => {
    await pool.query("insert into orders values ('a', 1), ('b', 1)");
    const both = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
    const turns = both.map(({ promise }) => promise);
    const update = (first: string, second: string, mine: number) =>
      store.transact(undefined, async (tx) => {
        await tx.query("update orders set cents = cents + 1 where id = $1", [first]);
        both[mine]?.resolve();
        await Promise.all(turns);
        await tx.query("update orders set cents = cents + 1 where id = $1", [second]);
      });
    const deadlocked = await Promise.allSettled([update("a", "b", 0), update("b", "a", 1)]);
    const failures = deadlocked.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    assert.equal(failures.length, 1);
    isError(Code.Aborted, /conflict/)(failures[0]);

    const other = await pool.connect();
    const conflict = store.transact(
      undefined,
      async (tx) => {
        await tx.query("select * from orders");
        await other.query("update orders set cents = 9 where id = 'a'");
        await tx.query("update orders set cents = 8 where id = 'a'");
      },
      { isolation: "repeatable read" },
    );
    await assert.rejects(conflict, isError(Code.Aborted, /conflict/));
    other.release();
  });

  test("a failed statement whose error is caught commits nothing, and says so", async () => {
    await place(undefined, "1");
    const done = store.transact(undefined, async (tx) => {
      await tx.query("insert into orders values ('2', 1)");
      await tx.query("insert into orders values ('1', 1)").catch(() => {});
    });
    await assert.rejects(done, isError(Code.Aborted, /a statement of the transaction had failed/));
    assert.deepEqual(await idsOf("orders"), ["1"]);
  });

  test("an isolation that there is not is refused", async () => {
    const isolation = "serializable; drop table orders" as "serializable"; // As a caller without types may.
    await assert.rejects(
      store.transact(undefined, () => {}, { isolation }),
      /isolation must be read committed or/,
    );
  });

  test("the signal of the call ends a transaction that hangs, with a rollback", async () => {
    await pool.query("insert into orders values ('a', 1)");
    const holder = await pool.connect();
    await holder.query("begin; update orders set cents = 2 where id = 'a'");
    const controller = new AbortController();
    const ended = Promise.withResolvers<unknown>();
    const done = store.transact(contextOf(undefined, controller.signal), async (tx) => {
      await tx.query("insert into orders values ('b', 1)");
      setImmediate(() => controller.abort(new ConnectError("too late", Code.DeadlineExceeded)));
      await tx
        .query("update orders set cents = 3 where id = 'a'")
        .then(() => tx.query("select 1").catch(ended.resolve), ended.resolve);
    });
    await assert.rejects(done, isError(Code.DeadlineExceeded, /too late/));
    await holder.query("rollback");
    holder.release();
    isError(Code.FailedPrecondition)(await ended.promise);
    assert.deepEqual(await idsOf("orders"), ["a"]);
  });

  test("M22: a message at once in two processes, and after a failure, has its effect once", async () => {
    const runs = [new InboxRun([key("7")]), new InboxRun([key("7")]), new InboxRun([key("7")])];
    const failing = store.transact(contextOf(runs[0]), async (tx) => {
      await tx.query("insert into orders values ('7', 1)");
      throw new Error("the mail server is away");
    });
    await assert.rejects(failing, /mail server/);
    assert.deepEqual(await store.done([key("7")], { signal }), []);
    const other = postgresStore(server.pool());
    const both = await Promise.allSettled([
      place(contextOf(runs[1]), "7"),
      other.transact(contextOf(runs[2]), (tx) => tx.query("insert into orders values ('7', 1)")),
    ]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    const [lost] = both.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    isError(Code.AlreadyExists, /handled before, nothing was done: message 7/)(lost);
    assert.deepEqual(await idsOf("orders"), ["7"]);
    assert.equal(runs.filter(({ isRecorded }) => isRecorded).length, 1);
    assert.equal(runs.flatMap(({ duplicates }) => duplicates).length, 1);
    assert.deepEqual(await store.done([key("6"), key("7"), { ...key("7"), group: "other" }], { signal }), [
      key("7"),
    ]);
  });

  test("a message has one transaction; one that was rolled back is none", async () => {
    const run = new InboxRun([key("1")]);
    const context = contextOf(run);
    await assert.rejects(
      store.transact(context, () => {
        throw new Error("first");
      }),
      /first/,
    );
    await place(context, "1");
    await assert.rejects(place(context, "2"), isError(Code.FailedPrecondition, /one transaction/));
    assert.deepEqual(await idsOf("orders"), ["1"]);
  });

  test("a batch with a message that is done is not run", async () => {
    await store.record([key("2")], { signal });
    const run = new InboxRun([key("1"), key("2"), key("3")]);
    await assert.rejects(place(contextOf(run), "1"), isError(Code.AlreadyExists));
    assert.deepEqual(run.duplicates, [key("2")]);
    assert.deepEqual(await store.done(run.keys, { signal }), [key("2")]);
  });

  test("runs are counted until they have ended", async () => {
    assert.equal(await store.noteRun(key("1"), { signal }), 1);
    assert.equal(await store.noteRun(key("1"), { signal }), 2);
    assert.equal(await store.noteRun(key("2"), { signal }), 1);
    await store.forgetRuns(key("1"), { signal });
    assert.equal(await store.noteRun(key("1"), { signal }), 1);
  });

  test("records go after their time, 1,000 at a time", async () => {
    const brief = postgresStore(pool, { retentionMs: 60_000 });
    await pool.query(
      "insert into ts_ms_inbox select 'mail', '/old', n, now() - interval '1 hour' from generate_series(1, 2500) n",
    );
    await brief.record([key("new")], { signal });
    for (let left = 1; left > 0;) {
      const { rows } = await pool.query<{ left: number }>(
        "select count(*)::int as left from ts_ms_inbox where source = '/old'",
      );
      left = rows[0]?.left ?? 0;
    }
    assert.deepEqual(await idsOf("ts_ms_inbox"), ["new"]);
  });

  test("migrate may be called by any number at once, also by one who may not make tables", async () => {
    const options = { prefix: "own_", schema: "public" };
    await Promise.all(Array.from({ length: 8 }, () => postgresStore(pool, options).migrate()));
    await pool.query(
      "create role reader login; grant select, insert, update, delete on all tables in schema public to reader",
    );
    const reader = server.pool({ user: "reader" });
    await postgresStore(reader, options).migrate();
    const tx = await postgresStore(reader, options).transact(undefined, async (open) => {
      await publishIn(open, eventMessage("1"));
      return open;
    });
    assert.equal(tx.rows, 1);
    assert.deepEqual(await idsOf("own_outbox"), ["1"]);
  });

  test("the schema as text makes the same tables", async () => {
    await pool.query("create schema shop");
    const shop = postgresStore(pool, { schema: "shop", prefix: "x_" });
    await pool.query(shop.schemaSql);
    await pool.query(shop.schemaSql);
    await shop.transact(undefined, (tx) => publishIn(tx, eventMessage("1")));
    assert.deepEqual(await idsOf("shop.x_outbox"), ["1"]);
  });

  test("without the tables the error says how to make them", async () => {
    const none = postgresStore(pool, { prefix: "none_" });
    const done = none.transact(undefined, (tx) => publishIn(tx, eventMessage("1")));
    await assert.rejects(
      done,
      (reason) => reason instanceof SetupError && /await store.migrate\(\)/.test(reason.message),
    );
  });

  test("a transaction that the user has begun himself takes events too", async () => {
    const client = await pool.connect();
    await client.query("begin");
    const tx = store.enlist(client);
    await publishIn(tx, eventMessage("rolled back"));
    await client.query("rollback");
    await client.query("begin");
    await publishIn(store.enlist(client), eventMessage("committed"));
    await client.query("commit");
    client.release();
    assert.deepEqual(await idsOf("ts_ms_outbox"), ["committed"]);
  });

  test("M22: killed before the commit nothing is done, and UNAVAILABLE while it is away", async () => {
    const run = new InboxRun([key("9")]);
    const killed = store.transact(contextOf(run), async (tx) => {
      await tx.query("insert into orders values ('9', 1)");
      await server.kill();
      await tx.query("insert into orders values ('10', 1)");
    });
    await assert.rejects(killed, isError(Code.Unavailable, /cannot be reached/));
    await assert.rejects(store.done([key("9")], { signal }), isError(Code.Unavailable));
    await assert.rejects(place(undefined, "9"), isError(Code.Unavailable));
    await server.restart();
    await place(contextOf(run), "9");
    assert.deepEqual(await idsOf("orders"), ["9"]);
    await assert.rejects(place(contextOf(new InboxRun([key("9")])), "9"), isError(Code.AlreadyExists));
  });
});
