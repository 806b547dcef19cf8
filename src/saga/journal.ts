/** Where the outcomes of a saga's operations are kept, and what else the state machine of a saga needs from an engine. */

/** A message as it is recorded. */
export interface RecordedMessage {
  /** Full name of its type. */
  readonly type: string;
  /** Protobuf binary. */
  readonly bytes: Uint8Array;
}

/** Why an operation has failed. */
export interface RecordedFailure {
  /** gRPC code. */
  readonly code: number;
  readonly message: string;
  /**
   * `step`: its last attempt; `cancel` and `deadline`: of the saga, before or in the operation; `timeout`: of a wait
   * itself, which the body may handle; `body`: the body has thrown.
   */
  readonly cause: "step" | "cancel" | "deadline" | "timeout" | "body";
  /** Whether a run of the step may have had an effect. */
  readonly mayHaveRun: boolean;
}

/** The outcome of one operation. */
export interface JournalEntry {
  /** When it ended, in milliseconds since 1970. */
  readonly atMs: number;
  /** What it gave; undefined for nothing. */
  readonly value?: RecordedMessage;
  /** Number of the signal that a wait has taken. */
  readonly signal?: string;
  readonly failure?: RecordedFailure;
}

/** The outcomes of a saga's operations, in order. */
export interface SagaJournal {
  /**
   * Gives the recorded outcome of the next operation. Where there is none, `live` runs, and its outcome is recorded before
   * it is given.
   *
   * @param name of the operation
   * @param live never rejects; it does not resolve where nothing is to be recorded
   * @throws JournalMismatch if the recorded operation has another name; `live` is not called
   */
  record(name: string, live: () => Promise<JournalEntry>): Promise<JournalEntry>;
}

/** The code of a saga asks for another operation than the one on record. */
export class JournalMismatch extends Error {
  /** @param recorded name of the recorded operation @param asked that of the code */
  constructor(recorded: string, asked: string) {
    super(`the record has "${recorded}" where the code has "${asked}"`);
  }
}

/** A signal of a saga. */
export interface TakenSignal {
  /** Its number; greater for later ones. */
  readonly seq: string;
  readonly bytes: Uint8Array;
}

/** One execution of a saga as its engine sees it. What is fenced off or stopped never resolves. */
export interface SagaControl {
  /** Fires when the saga is cancelled; its reason is a ConnectError CANCELLED. */
  readonly cancelled: AbortSignal;
  /** Fires when this process must end its running calls: they are not recorded. Its reason is a ConnectError UNAVAILABLE. */
  readonly cut: AbortSignal;
  /** Whether an earlier execution may have begun what has no record. */
  readonly isResumed: boolean;
  /** Whether an earlier execution has passed the pivot: all before it is on record, so the saga only goes forward. */
  readonly isPivoted: boolean;
  /** Resolves when a call may run; never while the process stops or has lost its lease. @returns to be called at its end */
  enter(): Promise<() => void>;
  /** Notes that from this step on the saga only goes forward. False if it was cancelled before. */
  pass(pivot: string): Promise<boolean>;
  /** Notes that undos begin. */
  undoing(failure: RecordedFailure): Promise<void>;
  /** An undo has ended well. */
  undone(step: string): void;
  /** The first signal of a type that is not among those taken, when there is one; undefined when `ended` fires before. */
  signal(type: string, taken: readonly string[], ended: AbortSignal): Promise<TakenSignal | undefined>;
}
