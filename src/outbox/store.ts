import type { HandlerContext } from "@connectrpc/connect";
import type { ReadWatched, WatchedMetric } from "../core/telemetry/metric-books.ts";
import type { Inbox } from "../messaging/inbox.ts";
import type { Transaction } from "../messaging/transaction.ts";
import type { OutboxRow } from "./outbox-row.ts";
import type { StoreSql } from "./store-sql.ts";

export type { StoreSql } from "./store-sql.ts";

/** How far a transaction is from others. SQLite has `serializable` only. */
export type Isolation = "read committed" | "repeatable read" | "serializable";

/** Options of `Store.transact`. */
export interface TransactOptions {
  /** Default: that of the database; `read committed` in PostgreSQL where nothing else is set. */
  readonly isolation?: Isolation;
}

/** What adds metrics to a page: `Metrics` of `ts-ms/telemetry`. */
export interface MetricsPage {
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

/** Options of stores. */
export interface StoreOptions {
  /** The schema with the tables; it exists. Not used by SQLite. Default: `public`. */
  readonly schema: string;
  /** Begins the names of the tables. Default: `ts_ms_`. */
  readonly prefix: string;
  /** How long a message is known as done, in milliseconds. Default: 604,800,000, a week. */
  readonly retentionMs: number;
}

/** The defaults of `StoreOptions`. */
export const storeDefaults: StoreOptions = Object.freeze({
  schema: "public",
  prefix: "ts_ms_",
  retentionMs: 604_800_000,
});

/**
 * A database with an outbox and an inbox: what is published in its transactions is sent if, and only if, they commit, and
 * a message's effects in it come once.
 *
 * @typeParam Tx what transactions offer
 * @typeParam Client on what a user runs a transaction of his own
 */
export interface Store<Tx extends Transaction = Transaction, Client = never> extends Inbox, OutboxSource {
  /**
   * Begins a transaction, runs, commits.
   *
   * In a handler to which a message was delivered the message is recorded first. If it is recorded already, `run` is not
   * called, and the message is settled as a duplicate, whatever the handler makes of that. By any other door it is a
   * plain transaction.
   *
   * @param context of the handler: its signal ends the wait, with a rollback; undefined outside of handlers
   * @throws what `run` throws, with a rollback; ConnectError ABORTED for a conflict with another transaction, UNAVAILABLE
   *   where the database cannot be reached, ALREADY_EXISTS for a message that is done, FAILED_PRECONDITION for a second
   *   transaction of one message
   */
  transact<T>(
    context: HandlerContext | undefined,
    run: (tx: Tx) => T,
    options?: TransactOptions,
  ): Promise<Awaited<T>>;
  /**
   * Makes the tables that are missing, under a lock: any number of processes may do so at any time.
   *
   * @throws ConnectError UNAVAILABLE where the database cannot be reached
   */
  migrate(): Promise<void>;
  /** The statements that make the tables, for the user's own migrations. */
  readonly schemaSql: string;
  /**
   * A transaction that the user has begun himself, and commits himself. Publishes must be awaited before the commit. A
   * relay learns of them by `wake()`, or at its next poll.
   */
  enlist(client: Client): Tx;
  /** Statements of other parts of the library, which keep rows of their own in this database. */
  readonly sql: StoreSql;
  /** Adds the store's metrics to a page. @returns a function that takes them from it */
  watch(metrics: MetricsPage): () => void;
}

/** The outbox of a store as relays see it. */
export interface OutboxSource {
  /** Calls `listener` when a transaction of this process has committed rows. @returns a function that ends that */
  onRows(listener: () => void): () => void;
  /**
   * Becomes the one relay of this store.
   *
   * @returns undefined while another one is it
   * @throws SetupError without the tables; ConnectError UNAVAILABLE where the database cannot be reached
   */
  lead(options: LeadOptions): Promise<Leadership | undefined>;
}

/** Options of `OutboxSource.lead`. */
export interface LeadOptions {
  /** The name of the lock. */
  readonly lock: string;
  /** Called whenever rows may be there; undefined: it is not asked for. */
  readonly notified: (() => void) | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** The rows of an outbox, for its one relay. Functions reject once it is lost. */
export interface Leadership {
  /** Fires when the connection with the lock has ended: another relay may have the lock. */
  readonly lost: AbortSignal;
  /** The oldest rows but for the excluded ones, from the oldest on. At least one, if there is one. */
  read(options: ReadOptions): Promise<readonly OutboxRow[]>;
  remove(seqs: readonly bigint[]): Promise<void>;
  /** Moves a row to the dead ones. @param code of gRPC */
  bury(seq: bigint, code: number, reason: string): Promise<void>;
  /** How many rows there are, and how old the oldest is, in milliseconds; 0 without rows. */
  measure(): Promise<{ readonly pending: number; readonly oldestMs: number }>;
  /** Gives up the lock. Never rejects. */
  close(): Promise<void>;
}

/** What a relay reads. */
export interface ReadOptions {
  /** The most rows. */
  readonly limit: number;
  /** The most bytes of bodies, but for the first row. */
  readonly maxBytes: number;
  readonly except: Exclusions;
}

/** Rows that are not read now. */
export interface Exclusions {
  readonly topics: readonly string[];
  /** Rows without a key. */
  readonly seqs: readonly bigint[];
  /** All rows of a topic with a key. */
  readonly keys: readonly { readonly topic: string; readonly key: string }[];
}
