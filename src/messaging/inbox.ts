import { createContextKey, type ContextKey } from "@connectrpc/connect";
import { Code, ConnectError } from "../core/errors/errors.ts";

/** A message as a group knows it: the same for each delivery of it. */
export interface InboxKey {
  readonly group: string;
  /** `source` of the CloudEvent. */
  readonly source: string;
  /** `id` of the CloudEvent. */
  readonly id: string;
}

/**
 * Which messages are done, by groups, in a database. Each function rejects where the database cannot be asked: the
 * message is held then, and no attempt is counted.
 */
export interface Inbox {
  /** Those of the messages that are done. */
  done(keys: readonly InboxKey[], options: InboxOptions): Promise<readonly InboxKey[]>;
  /** Records messages as done; those that are already stay as they are. */
  record(keys: readonly InboxKey[], options: InboxOptions): Promise<void>;
  /**
   * Notes that a run of a message begins, for messages that may have ended a process before.
   *
   * @returns how many of its runs have begun and not ended, this one among them
   */
  noteRun(key: InboxKey, options: InboxOptions): Promise<number>;
  /** Forgets the notes of a message: a run of it has ended, in whatever way. */
  forgetRuns(key: InboxKey, options: InboxOptions): Promise<void>;
}

/** Options of each question to an inbox. */
export interface InboxOptions {
  /** Ends the wait; the promise rejects with its reason. */
  readonly signal: AbortSignal;
}

/**
 * The messages that a run handles, as the `transact` of a store sees them: it records them as done in the transaction of
 * the run.
 *
 * ```
 *           begin            committed
 *   free ───────────▶ open ────────────▶ recorded
 *    ▲                 │
 *    └── rolledBack ───┴── duplicate ──▶ duplicate
 * ```
 */
export class InboxRun {
  /** One; several in a run of a batch. */
  readonly keys: readonly InboxKey[];
  #state: "free" | "open" | "recorded" | "duplicate" = "free";
  #duplicates: readonly InboxKey[] = [];

  constructor(keys: readonly InboxKey[]) {
    this.keys = keys;
  }

  /** Whether the messages have been recorded with the effects of the run: there is nothing to be recorded behind it. */
  get isRecorded(): boolean {
    return this.#state === "recorded";
  }

  /**
   * Those that had been done before: the run has had no effects in the database, whatever its handler makes of that. None
   * in a run whose transaction was not refused for it.
   */
  get duplicates(): readonly InboxKey[] {
    return this.#duplicates;
  }

  /**
   * A transaction begins that will record the messages.
   *
   * @throws ConnectError FAILED_PRECONDITION for a second transaction: were the first one committed alone, its records
   *   would keep the second one from ever being made; ALREADY_EXISTS for one behind a duplicate
   */
  begin(): void {
    if (this.#state === "duplicate") throw this.#alreadyDone();
    if (this.#state !== "free") {
      throw new ConnectError(
        "a message is handled in one transaction of its store: this is a second one",
        Code.FailedPrecondition,
      );
    }
    this.#state = "open";
  }

  committed(): void {
    this.#state = "recorded";
  }

  /** Another transaction may follow. */
  rolledBack(): void {
    if (this.#state === "open") this.#state = "free";
  }

  /** These were done before. @returns the error that `transact` rejects with */
  duplicate(keys: readonly InboxKey[]): ConnectError {
    this.#state = "duplicate";
    this.#duplicates = keys;
    return this.#alreadyDone();
  }

  #alreadyDone(): ConnectError {
    const ids = this.#duplicates.map(({ id }) => id).join(", ");
    return new ConnectError(`handled before, nothing was done: message ${ids}`, Code.AlreadyExists);
  }
}

/** The messages of a run, among the values of its context; undefined for calls by any other door. */
export const inboxRunKey: ContextKey<InboxRun | undefined> = createContextKey<InboxRun | undefined>(
  undefined,
  {
    description: "messages of a run, for an inbox",
  },
);
