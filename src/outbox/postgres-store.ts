import { createHash } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions, checkRequired, hasFunctions } from "../core/config/check-options.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { type InboxKey, type InboxOptions, type InboxRun, inboxRunKey } from "../messaging/inbox.ts";
import { type SqlClient, type SqlPool, toStoreError } from "./postgres-client.ts";
import { type Lent, rollBack, takeClient } from "./postgres-connections.ts";
import { PostgresInbox } from "./postgres-inbox.ts";
import { leadPostgres } from "./postgres-leadership.ts";
import { PostgresTransaction } from "./postgres-transaction.ts";
import { postgresSchema, type Tables, tablesOf } from "./schema-sql.ts";
import {
  type Isolation,
  type Leadership,
  type LeadOptions,
  type MetricsPage,
  type Store,
  storeDefaults,
  type StoreOptions,
  type TransactOptions,
} from "./store.ts";
import { makeTables, queryPostgres } from "./postgres-sql.ts";
import { StoreEvents } from "./store-events.ts";
import type { StoreSql } from "./store-sql.ts";
import { untilAborted } from "./until-aborted.ts";

const never = new AbortController().signal;

/**
 * A store in PostgreSQL 12 and later.
 *
 * @param pool `Pool` of `pg`, or anything of its shape. It stays the user's, who ends it. A relay keeps one connection of
 *   it, each transaction takes one
 * @throws SetupError naming the option that cannot be used
 */
export function postgresStore(pool: SqlPool, options: Partial<StoreOptions> = {}): PostgresStore {
  checkRequired("postgresStore", "pool", pool, hasFunctions(pool, "connect"), "a pool as of pg");
  checkOptions<StoreOptions>("postgresStore", options, storeDefaults);
  return new PostgresStore(pool, { ...storeDefaults, ...options });
}

/** See `postgresStore`. */
export class PostgresStore implements Store<PostgresTransaction, SqlClient> {
  readonly schemaSql: string;
  readonly sql: StoreSql;
  readonly #pool: SqlPool;
  readonly #tables: Tables;
  readonly #place: string;
  readonly #inbox: PostgresInbox;
  readonly #events = new StoreEvents();

  /** For `postgresStore`, which checks its arguments. */
  constructor(pool: SqlPool, { schema, prefix, retentionMs }: StoreOptions, clock: Clock = systemClock) {
    this.#pool = pool;
    this.#tables = tablesOf("postgresStore", prefix, schema);
    this.#place = `${schema}.${prefix}`;
    this.schemaSql = postgresSchema(this.#tables, prefix);
    this.#inbox = new PostgresInbox(pool, this.#tables, retentionMs, clock);
    this.sql = {
      dialect: "postgres",
      table: (name) => `"${schema}"."${prefix}${name}"`,
      query: (text, values) => queryPostgres(pool, text, values),
      make: (tables, statements) => makeTables(pool, lockKey(`migrate ${this.#place}`), tables, statements),
    };
  }

  async transact<T>(
    context: HandlerContext | undefined,
    run: (tx: PostgresTransaction) => T,
    options: TransactOptions = {},
  ): Promise<Awaited<T>> {
    const inboxRun = context?.values.get(inboxRunKey);
    inboxRun?.begin();
    try {
      return await this.#transact(context, run, options, inboxRun);
    } catch (reason) {
      throw toStoreError(reason);
    } finally {
      inboxRun?.rolledBack(); // Unless it was committed.
    }
  }

  migrate(): Promise<void> {
    return this.sql.make(Object.values(this.#tables), this.schemaSql);
  }

  enlist(client: SqlClient): PostgresTransaction {
    return new PostgresTransaction(client, this.#tables.outbox, undefined, true);
  }

  async done(keys: readonly InboxKey[], options: InboxOptions): Promise<readonly InboxKey[]> {
    const found = await this.#inbox.done(keys, options);
    this.#events.duplicates(found);
    return found;
  }

  record(keys: readonly InboxKey[], options: InboxOptions): Promise<void> {
    return this.#inbox.record(keys, options);
  }

  noteRun(key: InboxKey, options: InboxOptions): Promise<number> {
    return this.#inbox.noteRun(key, options);
  }

  forgetRuns(key: InboxKey, options: InboxOptions): Promise<void> {
    return this.#inbox.forgetRuns(key, options);
  }

  onRows(listener: () => void): () => void {
    return this.#events.onRows(listener);
  }

  lead(options: LeadOptions): Promise<Leadership | undefined> {
    return leadPostgres(this.#pool, this.#tables, lockKey(`${options.lock} ${this.#place}`), options);
  }

  watch(metrics: MetricsPage): () => void {
    return this.#events.watch(metrics);
  }

  async #transact<T>(
    context: HandlerContext | undefined,
    run: (tx: PostgresTransaction) => T,
    { isolation }: TransactOptions,
    inboxRun: InboxRun | undefined,
  ): Promise<Awaited<T>> {
    const signal = context?.signal ?? never;
    const lent = await takeClient(this.#pool, signal);
    const tx = new PostgresTransaction(lent.client, this.#tables.outbox, context, false);
    let result: Awaited<T>;
    try {
      await untilAborted(lent.client.query(beginOf(isolation)), signal);
      const running = this.#run(lent, tx, run, inboxRun, signal);
      result = await untilAborted(running, signal);
    } catch (reason) {
      tx.end();
      void rollBack(lent);
      throw reason;
    }
    tx.end();
    await commit(lent, signal);
    inboxRun?.committed();
    if (inboxRun !== undefined) this.#inbox.sweep();
    if (tx.rows > 0) this.#events.rows();
    return result;
  }

  async #run<T>(
    { client }: Lent,
    tx: PostgresTransaction,
    run: (tx: PostgresTransaction) => T,
    inboxRun: InboxRun | undefined,
    signal: AbortSignal,
  ): Promise<Awaited<T>> {
    if (inboxRun !== undefined) {
      const known = await this.#inbox.recordNew(client, inboxRun.keys);
      if (known.length > 0) {
        this.#events.duplicates(known);
        throw inboxRun.duplicate(known);
      }
    }
    signal.throwIfAborted(); // It has been rolled back.
    const result = await run(tx);
    await tx.settle();
    await tx.flush();
    return result;
  }
}

/** @throws SetupError for another isolation */
function beginOf(isolation: Isolation | undefined): string {
  if (isolation === undefined) return "begin";
  const isolations: readonly string[] = ["read committed", "repeatable read", "serializable"];
  checkRequired("transact", "isolation", isolation, isolations.includes(isolation), isolations.join(" or "));
  return `begin isolation level ${isolation}`;
}

/** Commits. A failed statement, whose error was caught, makes a rollback of it, which PostgreSQL does not call an error. */
async function commit(lent: Lent, signal: AbortSignal): Promise<void> {
  const committing = lent.client.query("commit");
  try {
    const { command } = await untilAborted(committing, signal);
    if (command === "ROLLBACK") throw Object.assign(new Error("rolled back"), { code: "25P02" });
  } catch (reason) {
    committing.catch(() => {});
    lent.giveBack(true);
    throw reason;
  }
  lent.giveBack();
}

/** A number of 64 bits for an advisory lock, as text. */
function lockKey(name: string): string {
  return createHash("sha256").update(name).digest().readBigInt64BE().toString();
}
