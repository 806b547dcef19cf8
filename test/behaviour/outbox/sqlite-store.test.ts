import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test, type TestContext } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { sqliteStore, type SqliteStore } from "../../../src/entries/outbox.ts";
import { InboxRun } from "../../../src/messaging/inbox.ts";
import { SqliteStore as StoreWithClock } from "../../../src/outbox/sqlite-store.ts";
import { contextOf, inboxKey, isCallError, never, runOf } from "../../support/inbox-calls.ts";
import { eventMessage, publishIn } from "../../support/outbox-messages.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A store in a new file, with a table of orders, and another connection to the file. */
async function openShop(t: TestContext): Promise<{ store: SqliteStore; path: string; other: DatabaseSync }> {
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
  other.exec("create table orders (id text primary key, cents integer)");
  return { store, path, other };
}

function idsOf(database: DatabaseSync, table: string): unknown[] {
  return database
    .prepare(`select id from ${table} order by 1`)
    .all()
    .map(({ id }) => id);
}

/** Places an order. */
function place(store: SqliteStore, id: string, run?: InboxRun): Promise<string> {
  return store.transact(contextOf(run), (tx) => {
    tx.query("insert into orders values (?, ?)", [id, 7]);
    void publishIn(tx, eventMessage(id));
    return id;
  });
}

describe("a store in SQLite", () => {
  test("effects and events are committed together, in a log that readers do not wait for", async (t) => {
    const { store, other } = await openShop(t);
    assert.equal(await place(store, "1"), "1");
    assert.deepEqual([idsOf(other, "orders"), idsOf(other, "ts_ms_outbox")], [["1"], ["1"]]);
    assert.deepEqual(other.prepare("pragma journal_mode").all()[0]?.["journal_mode"], "wal");
  });

  test("statements give rows or the number of changes", async (t) => {
    const { store } = await openShop(t);
    await place(store, "1");
    const given = await store.transact(undefined, (tx) => [
      tx.query("update orders set cents = 8").changes,
      tx.query("update orders set cents = 9 returning cents").rows.map((row) => ({ ...row })),
    ]);
    assert.deepEqual(given, [1, [{ cents: 9 }]]);
  });

  test("an error rolls back, and a promise is a TypeError", async (t) => {
    const { store, other } = await openShop(t);
    const failing = store.transact(undefined, (tx) => {
      tx.query("insert into orders values ('1', 1)");
      throw new Error("mine");
    });
    await assert.rejects(failing, /mine/);
    const late = store.transact(undefined, async (tx) => {
      tx.query("insert into orders values ('2', 1)");
      await publishIn(tx, eventMessage("2"));
      throw new Error("nobody hears this");
    });
    await assert.rejects(
      late,
      (reason) => reason instanceof TypeError && reason.message.includes("must be synchronous"),
    );
    assert.deepEqual([idsOf(other, "orders"), idsOf(other, "ts_ms_outbox")], [[], []]);
    assert.equal(await place(store, "3"), "3");
  });

  test("the commit waits for publishes, no other work comes in between, and one that fails rolls back", async (t) => {
    const { store, other } = await openShop(t);
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = store.transact(undefined, (tx) => {
      tx.query("insert into orders values ('slow', 1)");
      void tx.include(async (add) => {
        await promise;
        await add([eventMessage("slow")]);
        throw new ConnectError("no key", Code.InvalidArgument);
      });
    });
    const next = place(store, "next");
    setImmediate(resolve);
    await assert.rejects(slow, isCallError(Code.InvalidArgument, /no key/));
    await next;
    assert.deepEqual([idsOf(other, "orders"), idsOf(other, "ts_ms_outbox")], [["next"], ["next"]]);
  });

  test("behind its end a transaction takes neither publishes nor statements", async (t) => {
    const { store } = await openShop(t);
    const tx = await store.transact(undefined, (open) => open);
    await assert.rejects(publishIn(tx, eventMessage("1")), isCallError(Code.FailedPrecondition, /has ended/));
    assert.throws(() => tx.query("select 1"), isCallError(Code.FailedPrecondition, /has ended/));
  });

  test("another writer is waited for with the event loop free, until the call's deadline", async (t) => {
    const { store, other } = await openShop(t);
    other.exec("begin immediate");
    const placed = place(store, "1");
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    other.exec("commit");
    await placed;

    other.exec("begin immediate");
    const tooLate = new ConnectError("too late", Code.DeadlineExceeded);
    const controller = new AbortController();
    setTimeout(() => controller.abort(tooLate), 20);
    const cut = store.transact(contextOf(undefined, controller.signal), () => assert.fail("it has no lock"));
    await assert.rejects(cut, (reason) => reason === tooLate);
    other.exec("rollback");
    await place(store, "2");
  });

  test("without a deadline a lock is waited for 5 s", async (t) => {
    const { path, other } = await openShop(t);
    const clock = new VirtualClock();
    const store = new StoreWithClock(path, { prefix: "ts_ms_", retentionMs: 1_000 }, clock);
    other.exec("begin immediate");
    const failed = assert.rejects(
      place(store, "1"),
      isCallError(Code.Unavailable, /is locked by another connection/),
    );
    await clock.pass(5_100);
    await failed;
    other.exec("rollback");
    await store.close();
  });

  test("M22: a message at once in two stores, and after a failure, has its effect once", async (t) => {
    const { store, path, other } = await openShop(t);
    const second = sqliteStore(path);
    t.after(() => second.close());
    const failing = store.transact(contextOf(runOf("7")), () => {
      throw new Error("the mail server is away");
    });
    await assert.rejects(failing, /mail server/);
    assert.deepEqual(await store.done([inboxKey("7")], { signal: never }), []);
    const runs = [runOf("7"), runOf("7")] as const;
    const both = await Promise.allSettled([place(store, "7", runs[0]), place(second, "7", runs[1])]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    assert.equal(runs.filter(({ isRecorded }) => isRecorded).length, 1);
    assert.deepEqual(idsOf(other, "orders"), ["7"]);
    await assert.rejects(place(store, "7", runOf("7")), isCallError(Code.AlreadyExists, /handled before/));
  });

  test("records, notes of runs, and what a batch knows", async (t) => {
    const { store } = await openShop(t);
    const signal = never;
    await store.record([inboxKey("2")], { signal });
    await store.record([inboxKey("2")], { signal });
    const run = new InboxRun(["1", "2", "3"].map(inboxKey));
    await assert.rejects(place(store, "1", run), isCallError(Code.AlreadyExists));
    assert.deepEqual([run.duplicates, run.isRecorded], [[inboxKey("2")], false]);
    assert.deepEqual(await store.done(run.keys, { signal }), [inboxKey("2")]);
    assert.equal(await store.noteRun(inboxKey("1"), { signal }), 1);
    assert.equal(await store.noteRun(inboxKey("1"), { signal }), 2);
    await store.forgetRuns(inboxKey("1"), { signal });
    assert.equal(await store.noteRun(inboxKey("1"), { signal }), 1);
  });

  test("records go after their time", async (t) => {
    const { path, other } = await openShop(t);
    const store = sqliteStore(path, { retentionMs: 60_000 });
    t.after(() => store.close());
    other.exec(`with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500)
      insert into ts_ms_inbox select 'mail', '/old', i, unixepoch('subsec') * 1000 - 3600000 from n`);
    await store.record([inboxKey("new")], { signal: never });
    while (idsOf(other, "ts_ms_inbox").length > 1) await new Promise(setImmediate);
    assert.deepEqual(idsOf(other, "ts_ms_inbox"), ["new"]);
  });

  test("migrate may be called by any number at once; without it the error says so", async () => {
    await using files = await TemporaryFiles.create();
    const path = join(files.folder, "new.db");
    const stores = Array.from({ length: 4 }, () => sqliteStore(path));
    const [store] = stores;
    assert.ok(store);
    const publish = () => store.transact(undefined, (tx) => void publishIn(tx, eventMessage("1")));
    await assert.rejects(
      publish(),
      (reason) => reason instanceof SetupError && /store.migrate/.test(reason.message),
    );
    await Promise.all(stores.flatMap((one) => [one.migrate(), one.migrate()]));
    await publish();
    await Promise.all(stores.map((one) => one.close()));
  });

  test("a transaction that the user has begun himself takes events too", async (t) => {
    const { store, other } = await openShop(t);
    other.exec("begin");
    const tx = store.enlist(other);
    tx.query("insert into orders values ('mine', 1)");
    await publishIn(tx, eventMessage("mine"));
    other.exec("commit");
    assert.deepEqual([idsOf(other, "orders"), idsOf(other, "ts_ms_outbox")], [["mine"], ["mine"]]);
  });

  test("a database in memory is a store too", async () => {
    const store = sqliteStore(":memory:");
    await store.migrate();
    await store.transact(undefined, (tx) => void publishIn(tx, eventMessage("1")));
    const count = await store.transact(
      undefined,
      (tx) => tx.query("select count(*) as n from ts_ms_outbox").rows,
    );
    assert.deepEqual({ ...count[0] }, { n: 1 });
    await store.close();
  });

  test("options and files that cannot be used", () => {
    assert.throws(() => sqliteStore("/nowhere/at/all.db"), /cannot be opened/);
    assert.throws(() => sqliteStore(":memory:", { prefix: "Ä" }), /the option prefix must be/);
    const misspelt = { retention: 1, prefix: "x_" }; // As a caller without types may.
    assert.throws(
      () => sqliteStore(":memory:", misspelt),
      /there is no option "retention"; did you mean retentionMs/,
    );
  });
});
