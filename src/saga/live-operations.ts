import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { EndingSignal } from "./ending-signal.ts";
import type { JournalEntry, RecordedFailure, SagaControl, SagaJournal } from "./journal.ts";
import { never, pause } from "./long-timer.ts";
import type { ReplyTypes } from "./reply-types.ts";
import type { Saga, StepCall, StepOptions } from "./saga.ts";
import { type StepResult, StepRunner, type StepTime } from "./steps.ts";
import { stuckAt, type Undo, undoBackoff } from "./undo.ts";

/** A saga as it was begun. */
export interface BegunSaga {
  readonly id: string;
  /** Protobuf binary. */
  readonly input: Uint8Array;
  /** When it began, in milliseconds since 1970. */
  readonly begunMs: number;
  /** Milliseconds since 1970; undefined for none. */
  readonly deadlineMs: number | undefined;
  readonly traceparent: string;
}

/** What a run is made with. */
export interface RunParts {
  readonly saga: Saga;
  readonly begun: BegunSaga;
  readonly types: ReplyTypes;
  readonly journal: SagaJournal;
  readonly control: SagaControl;
  readonly time: StepTime;
}

/** How a body has ended. */
export type BodyEnd = { readonly output: Uint8Array } | { readonly thrown: unknown };

/** Longest pause between the runs of a step, in milliseconds. */
const longestBackoffMs = 60_000;

/** The operations of a saga, where their outcome is not on record yet. None of them rejects. */
export class LiveOperations {
  readonly #parts: RunParts;
  readonly #runner: StepRunner;
  readonly #ending: EndingSignal;
  readonly #halt: <T>(reason: unknown) => Promise<T>;
  #isResumed: boolean;

  /** @param halt ends the execution; what it gives never settles */
  constructor(parts: RunParts, ending: EndingSignal, halt: <T>(reason: unknown) => Promise<T>) {
    this.#parts = parts;
    this.#runner = new StepRunner(parts.time, parts.control);
    this.#ending = ending;
    this.#halt = halt;
    this.#isResumed = parts.control.isResumed;
  }

  async step(
    name: string,
    run: (call: StepCall) => Promise<unknown>,
    settings: StepOptions,
  ): Promise<JournalEntry> {
    const mayHaveRun = this.#takeResumed();
    const before = this.#interruption(mayHaveRun);
    if (before !== undefined) return this.#entry({ failure: before });
    if (settings.pivot) {
      if (!(await this.#parts.control.pass(name)))
        return this.#entry({ failure: this.#cancelled(mayHaveRun) });
      this.#ending.release();
    }
    const result = await this.#runStep(name, run, settings, mayHaveRun);
    if (result.error !== undefined) return this.#failed(name, result);
    try {
      const value = this.#parts.types.write(name, result.reply, settings.reply);
      return this.#entry(value === undefined ? {} : { value });
    } catch (error) {
      return this.#failed(name, { error: toCallError(error), mayHaveRun: true });
    }
  }

  #runStep(
    name: string,
    run: (call: StepCall) => Promise<unknown>,
    { timeoutMs, attempts, backoffMs }: StepOptions,
    mayHaveRun: boolean,
  ): Promise<StepResult> {
    const { begun } = this.#parts;
    const isForward = this.#ending.isReleased;
    return this.#runner.run({
      run,
      key: `${this.#parts.begun.id}/${name}`,
      traceparent: begun.traceparent,
      timeoutMs,
      deadlineMs: isForward ? undefined : begun.deadlineMs,
      attempts: isForward ? Infinity : attempts,
      backoff: { initialMs: backoffMs, maxMs: longestBackoffMs, multiplier: 2, jitter: 0.2 },
      ending: isForward ? undefined : this.#ending.signal,
      mayHaveRun,
    });
  }

  /** The entry of a step that has failed for good; after a pivot there is none. */
  #failed(name: string, { error, mayHaveRun }: StepResult): Promise<JournalEntry> | JournalEntry {
    const failed = error ?? new ConnectError("no error", Code.Unknown);
    if (this.#ending.isReleased) return this.#halt(stuckAt(name, failed));
    const { code, rawMessage: message } = failed;
    const interrupted = this.#interruption(mayHaveRun);
    return this.#entry({ failure: interrupted ?? { code, message, cause: "step", mayHaveRun } });
  }

  async wait(type: string, untilMs: number | undefined, taken: readonly string[]): Promise<JournalEntry> {
    this.#takeResumed();
    const { control, time } = this.#parts;
    const before = this.#interruption(false);
    if (before !== undefined) return this.#entry({ failure: before });
    const over = new AbortController();
    const stops = [over.signal, this.#ending.signal];
    const timer = untilMs === undefined ? never<void>() : pause(time.clock, untilMs - time.epochMs(), stops);
    try {
      const signal = AbortSignal.any(stops);
      const first = await Promise.race([control.signal(type, taken, signal), timer.then(() => undefined)]);
      if (first !== undefined) return this.#entry({ value: { type, bytes: first.bytes }, signal: first.seq });
      const failure = this.#interruption(false);
      if (failure !== undefined) return this.#entry({ failure });
      const message = `no ${type} has come in time`;
      return this.#entry({
        failure: { code: Code.DeadlineExceeded, message, cause: "timeout", mayHaveRun: false },
      });
    } finally {
      over.abort();
    }
  }

  async sleep(untilMs: number): Promise<JournalEntry> {
    this.#takeResumed();
    const { clock, epochMs } = this.#parts.time;
    await pause(clock, untilMs - epochMs(), [this.#ending.signal]);
    const failure = this.#interruption(false);
    return this.#entry(failure === undefined ? {} : { failure });
  }

  async end(result: BodyEnd, failure: RecordedFailure | undefined): Promise<JournalEntry> {
    if (failure !== undefined) return this.#entry({ failure });
    if ("output" in result) {
      return this.#entry({ value: { type: this.#parts.saga.output.typeName, bytes: result.output } });
    }
    const error = toCallError(result.thrown);
    if (this.#ending.isReleased) return this.#halt(stuckAt("body", error));
    const { code, rawMessage: message } = error;
    return this.#entry({ failure: { code, message, cause: "body", mayHaveRun: false } });
  }

  async undo({ step, run, timeoutMs }: Undo): Promise<JournalEntry> {
    const { error } = await this.#runner.run({
      run,
      key: `${this.#parts.begun.id}/${step}/undo`,
      traceparent: this.#parts.begun.traceparent,
      timeoutMs,
      deadlineMs: undefined,
      attempts: Infinity,
      backoff: undoBackoff,
      ending: undefined,
      mayHaveRun: true,
    });
    if (error !== undefined) return this.#halt(stuckAt(`undo ${step}`, error));
    this.#parts.control.undone(step);
    return this.#entry({});
  }

  /** Whether the first operation without a record may have been begun by an earlier execution. */
  #takeResumed(): boolean {
    const isResumed = this.#isResumed;
    this.#isResumed = false;
    return isResumed;
  }

  #interruption(mayHaveRun: boolean): RecordedFailure | undefined {
    const failure = this.#ending.failure();
    return failure && { ...failure, mayHaveRun };
  }

  #cancelled(mayHaveRun: boolean): RecordedFailure {
    return { code: Code.Canceled, message: "the saga was cancelled", cause: "cancel", mayHaveRun };
  }

  #entry(entry: Omit<JournalEntry, "atMs">): JournalEntry {
    return { atMs: this.#parts.time.epochMs(), ...entry };
  }
}
