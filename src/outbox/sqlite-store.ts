import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions, checkRequired } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { type InboxKey, type InboxOptions, inboxRunKey } from "../messaging/inbox.ts";
import { sqliteSchema, type Tables, tablesOf } from "./schema-sql.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { SqliteInbox } from "./sqlite-inbox.ts";
import { leadSqlite } from "./sqlite-leadership.ts";
import { type SqliteClient, SqliteTransaction } from "./sqlite-transaction.ts";
import {
  type Leadership,
  type LeadOptions,
  type MetricsPage,
  type Store,
  storeDefaults,
  type StoreOptions,
  type TransactOptions,
} from "./store.ts";
import { StoreEvents } from "./store-events.ts";
import { sqlitePlaces, type StoreSql } from "./store-sql.ts";

const never = new AbortController().signal;

/**
 * A store in a file of SQLite, by `node:sqlite`. Its transactions are synchronous: `run` returns no promise.
 *
 * @param path of the file, which is made where it is missing; `:memory:` for a database that ends with the store
 * @throws SetupError naming the option that cannot be used, or that the file cannot be opened
 */
export function sqliteStore(path: string, options: Partial<StoreOptions> = {}): SqliteStore {
  checkRequired("sqliteStore", "path", path, typeof path === "string", "the path of a file");
  checkOptions<StoreOptions>("sqliteStore", options, storeDefaults);
  return new SqliteStore(path, { ...storeDefaults, ...options });
}

/** See `sqliteStore`. */
export class SqliteStore implements Store<SqliteTransaction, SqliteClient> {
  readonly schemaSql: string;
  readonly sql: StoreSql;
  readonly #connection: SqliteConnection;
  readonly #tables: Tables;
  readonly #prefix: string;
  readonly #inbox: SqliteInbox;
  readonly #events = new StoreEvents();

  /** For `sqliteStore`, which checks its arguments. */
  constructor(
    path: string,
    { prefix, retentionMs }: Omit<StoreOptions, "schema">,
    clock: Clock = systemClock,
  ) {
    this.#tables = tablesOf("sqliteStore", prefix);
    this.#prefix = prefix;
    this.schemaSql = sqliteSchema(this.#tables, prefix);
    this.#connection = new SqliteConnection(path, clock);
    this.#inbox = new SqliteInbox(this.#connection, this.#tables, retentionMs, clock);
    const connection = this.#connection;
    this.sql = {
      dialect: "sqlite",
      table: (name) => `"${prefix}${name}"`,
      query(text, values) {
        const run = () => connection.prepare(sqlitePlaces(text)).all(...values);
        return text.startsWith("select") ? connection.read(never, run) : connection.write(never, run);
      },
      make: (_, statements) => connection.write(never, () => connection.execute(statements)),
    };
  }

  /**
   * As `Store.transact`; while another connection writes it waits, until the deadline of the call, or 5 s.
   *
   * @param run must be synchronous: a promise is a TypeError, and rolls back
   */
  async transact<T>(
    context: HandlerContext | undefined,
    run: (tx: SqliteTransaction) => T,
    // Transactions of SQLite are serializable, which is the most that can be asked for.
    _options?: TransactOptions,
  ): Promise<Awaited<T>> {
    const inboxRun = context?.values.get(inboxRunKey);
    inboxRun?.begin();
    const tx = new SqliteTransaction(this.#connection, this.#tables.outbox, context);
    let result: Awaited<T>;
    try {
      result = await this.#own(
        this.#connection.write(context?.signal ?? never, async () => {
          const known = inboxRun === undefined ? [] : this.#inbox.recordNew(inboxRun.keys);
          if (inboxRun !== undefined && known.length > 0) {
            this.#events.duplicates(known);
            throw inboxRun.duplicate(known);
          }
          const returned = run(tx);
          if (returned instanceof Promise) {
            returned.catch(() => {}); // It is of no interest any more.
            throw new TypeError(
              "transact of sqliteStore: the function must be synchronous, it has returned a promise",
            );
          }
          await tx.settle();
          return await returned;
        }),
      );
      inboxRun?.committed();
    } finally {
      tx.end();
      inboxRun?.rolledBack(); // Unless it was committed.
    }
    if (inboxRun !== undefined) this.#inbox.sweep();
    if (tx.rows > 0) this.#events.rows();
    return result;
  }

  migrate(): Promise<void> {
    return this.sql.make([], this.schemaSql);
  }

  enlist(client: SqliteClient): SqliteTransaction {
    return new SqliteTransaction(client, this.#tables.outbox, undefined);
  }

  async done(keys: readonly InboxKey[], options: InboxOptions): Promise<readonly InboxKey[]> {
    const found = await this.#own(this.#inbox.done(keys, options));
    this.#events.duplicates(found);
    return found;
  }

  record(keys: readonly InboxKey[], options: InboxOptions): Promise<void> {
    return this.#own(this.#inbox.record(keys, options));
  }

  noteRun(key: InboxKey, options: InboxOptions): Promise<number> {
    return this.#own(this.#inbox.noteRun(key, options));
  }

  forgetRuns(key: InboxKey, options: InboxOptions): Promise<void> {
    return this.#own(this.#inbox.forgetRuns(key, options));
  }

  onRows(listener: () => void): () => void {
    return this.#events.onRows(listener);
  }

  async lead({ lock, signal }: LeadOptions): Promise<Leadership | undefined> {
    const text = `select seq from ${this.#tables.outbox} limit 0`;
    await this.#own(this.#connection.read(signal, () => this.#connection.prepare(text).all()));
    return leadSqlite(this.#connection, this.#tables, `${this.#prefix}${lock}`);
  }

  watch(metrics: MetricsPage): () => void {
    return this.#events.watch(metrics);
  }

  /** Closes the file behind the work that has been begun. A relay of it is stopped before. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async #own<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (reason) {
      if (reason instanceof Error && reason.message.startsWith(`no such table: ${this.#prefix}`)) {
        throw new SetupError("the tables of the outbox are missing: await store.migrate()", {
          cause: reason,
        });
      }
      throw reason;
    }
  }
}
