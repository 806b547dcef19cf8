import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Clock } from "../core/time/clock.ts";
import { type Backoff, Pauses } from "../core/time/pauses.ts";
import { untilAborted } from "./until-aborted.ts";

/** What SQLite takes as the value of a parameter. */
export type SqliteValue = SQLInputValue;

/** Pauses while another connection writes: SQLite's own would stop the event loop. */
const lockedBackoff: Backoff = { initialMs: 1, maxMs: 50, multiplier: 2, jitter: 0.5 };
/** How long a lock is waited for without a deadline, in milliseconds. */
const lockedMs = 5_000;
/** Statements that are kept for their next use. */
const keptStatements = 100;

/** One connection to a database file. What uses it takes turns, so that no work is in the transaction of another one. */
export class SqliteConnection {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #statements = new Map<string, StatementSync>();
  #last: Promise<void> = Promise.resolve();
  #hasJournal = false;

  /** @throws SetupError if this Node has no `node:sqlite`, or the file cannot be opened */
  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#database = openDatabase(path);
  }

  /** The statement of a text, which is compiled once. */
  prepare(text: string): StatementSync {
    const known = this.#statements.get(text) ?? this.#database.prepare(text);
    this.#statements.delete(text); // It is the last one used.
    this.#statements.set(text, known);
    for (const oldest of this.#statements.keys()) {
      if (this.#statements.size <= keptStatements) break;
      this.#statements.delete(oldest);
    }
    return known;
  }

  /** Runs statements without results, and without values. */
  execute(text: string): void {
    this.#database.exec(text);
  }

  /** Reads when the turn has come. @throws the reason of the signal */
  read<T>(signal: AbortSignal, run: () => T): Promise<T> {
    return this.#turn(signal, () => this.#whileLocked(signal, run));
  }

  /**
   * Runs in a transaction that may write, when the turn has come and no other connection writes.
   *
   * @throws the reason of the signal; ConnectError UNAVAILABLE if another connection writes for too long; what `run`
   *   throws, with a rollback
   */
  write<T>(signal: AbortSignal, run: () => T | Promise<T>): Promise<T> {
    return this.#turn(signal, async () => {
      await this.#whileLocked(signal, () => this.execute("begin immediate"));
      try {
        const running = run();
        const result = running instanceof Promise ? await untilAborted(running, signal) : running;
        signal.throwIfAborted();
        this.execute("commit");
        return result;
      } catch (reason) {
        this.#rollBack();
        throw reason;
      }
    });
  }

  /** Closes it behind the work that has been begun. */
  async close(): Promise<void> {
    await this.#last;
    if (this.#database.isOpen) this.#database.close();
  }

  async #turn<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = before.then(() => promise);
    try {
      await untilAborted(before, signal);
      await this.#useJournal(signal);
      return await run();
    } finally {
      resolve();
    }
  }

  /** Readers do not wait for writers with a log. */
  async #useJournal(signal: AbortSignal): Promise<void> {
    if (this.#hasJournal) return;
    await this.#whileLocked(signal, () => this.execute("pragma journal_mode = wal"));
    this.#hasJournal = true;
  }

  /** Runs again, with pauses, while another connection has the lock. */
  async #whileLocked<T>(signal: AbortSignal, run: () => T): Promise<T> {
    const pauses = new Pauses(lockedBackoff);
    const untilMs = this.#clock.nowMs() + lockedMs;
    for (;;) {
      signal.throwIfAborted();
      try {
        return run();
      } catch (reason) {
        if (!isLocked(reason)) throw reason;
        if (this.#clock.nowMs() >= untilMs) throw locked(this.path, reason);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = this.#clock.after(pauses.nextMs(), resolve);
      await untilAborted(promise, signal).finally(cancel);
    }
  }

  #rollBack(): void {
    if (this.#database.isOpen && this.#database.isTransaction) this.execute("rollback");
  }
}

/** Opens a database without a time-out for locks. @throws SetupError as for `SqliteConnection` */
export function openDatabase(path: string): DatabaseSync {
  const sqlite = process.getBuiltinModule("node:sqlite");
  if (sqlite === undefined) throw new SetupError("sqliteStore needs a Node with node:sqlite");
  try {
    return new sqlite.DatabaseSync(path, { timeout: 0 });
  } catch (cause) {
    throw new SetupError(`sqliteStore: ${path} cannot be opened`, { cause });
  }
}

/** Whether another connection has the lock. */
export function isLocked(reason: unknown): boolean {
  if (!(reason instanceof Error) || !("errcode" in reason)) return false;
  return (Number(reason.errcode) & 0xff) === 5; // SQLITE_BUSY and its extended codes.
}

function locked(path: string, cause: unknown): ConnectError {
  const text = `${path} is locked by another connection`;
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
