import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { retryAfterMsOf } from "../core/errors/retry-info.ts";
import type { Clock } from "../core/time/clock.ts";
import { type Backoff, Pauses } from "../core/time/pauses.ts";
import { isPermanent } from "./failure-kind.ts";
import type { SagaControl } from "./journal.ts";
import { never, pause } from "./long-timer.ts";
import type { StepCall } from "./saga.ts";

/** Time and chance of steps. */
export interface StepTime {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
}

/** A call that is tried until it succeeds or may not be tried again. */
export interface StepJob {
  readonly run: (call: StepCall) => Promise<unknown>;
  /** `idempotency-key` of each run. */
  readonly key: string;
  readonly traceparent: string;
  /** Longest time of one run, in milliseconds. */
  readonly timeoutMs: number;
  /** When no run may take longer, in milliseconds since 1970; undefined for never. */
  readonly deadlineMs: number | undefined;
  /** Most runs; infinite for a call that must succeed. */
  readonly attempts: number;
  readonly backoff: Backoff;
  /** Fires when the saga is cancelled or its deadline passes; its reason is a ConnectError. Undefined where that counts no more. */
  readonly ending: AbortSignal | undefined;
  /** Whether a run that has left no record may have had an effect. */
  readonly mayHaveRun: boolean;
}

/** How a job has ended. */
export interface StepResult {
  readonly reply?: unknown;
  /** Undefined for success. */
  readonly error?: ConnectError;
  /** Whether a run may have had an effect: one that ended in another way than in a permanent code. */
  readonly mayHaveRun: boolean;
}

/** Makes the calls of steps and undos. */
export class StepRunner {
  readonly #time: StepTime;
  readonly #control: SagaControl;

  constructor(time: StepTime, control: SagaControl) {
    this.#time = time;
    this.#control = control;
  }

  /** Runs a job to its end. Never rejects; does not resolve where the process stops before the end. */
  async run(job: StepJob): Promise<StepResult> {
    const { cut } = this.#control;
    const { clock, random } = this.#time;
    const stops = job.ending === undefined ? [cut] : [cut, job.ending];
    const pauses = new Pauses(job.backoff, random);
    let { mayHaveRun } = job;
    for (let attempt = 1; ; attempt++) {
      const leave = await this.#control.enter();
      if (isFired(job.ending)) {
        leave();
        return { error: toCallError(job.ending.reason), mayHaveRun };
      }
      const result = await this.#once(job);
      leave();
      if (result.error === undefined) return { ...result, mayHaveRun: true };
      if (cut.aborted) return never();
      const permanent = isPermanent(result.error);
      mayHaveRun ||= !permanent;
      if (permanent || attempt >= job.attempts || isFired(job.ending)) {
        return { error: result.error, mayHaveRun };
      }
      await pause(clock, Math.max(pauses.nextMs(), retryAfterMsOf(result.error) ?? 0), stops);
      if (cut.aborted) return never();
    }
  }

  /** One run. It ends with its function, at its time-out, or when the process cuts it. */
  async #once(job: StepJob): Promise<{ reply?: unknown; error?: ConnectError }> {
    const { clock, epochMs } = this.#time;
    const { cut } = this.#control;
    const leftMs = job.deadlineMs === undefined ? Infinity : job.deadlineMs - epochMs();
    const timeoutMs = Math.max(0, Math.min(job.timeoutMs, leftMs));
    const ended = new AbortController();
    const given = Promise.withResolvers<never>();
    given.promise.catch(() => {}); // The race may be over.
    const giveUp = (reason: unknown): void => {
      ended.abort(reason);
      given.reject(reason);
    };
    const onEnding = (): void => ended.abort(job.ending?.reason);
    const onCut = (): void => giveUp(cut.reason);
    const cancel = clock.after(timeoutMs, () => giveUp(timedOut(timeoutMs)));
    job.ending?.addEventListener("abort", onEnding);
    cut.addEventListener("abort", onCut);
    const headers = new Headers({ "idempotency-key": job.key, traceparent: job.traceparent });
    try {
      const call: StepCall = { headers, timeoutMs, signal: ended.signal };
      return { reply: await Promise.race([begun(job.run, call), given.promise]) };
    } catch (reason) {
      return { error: toCallError(reason) };
    } finally {
      cancel();
      job.ending?.removeEventListener("abort", onEnding);
      cut.removeEventListener("abort", onCut);
    }
  }
}

/** Calls a function that may throw before it gives a promise. */
async function begun(run: StepJob["run"], call: StepCall): Promise<unknown> {
  return run(call);
}

function timedOut(timeoutMs: number): ConnectError {
  return new ConnectError(`the run took longer than ${Math.round(timeoutMs)} ms`, Code.DeadlineExceeded);
}

function isFired(signal: AbortSignal | undefined): signal is AbortSignal {
  return signal !== undefined && signal.aborted;
}
