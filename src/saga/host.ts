import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { loggerOfProgram } from "../core/telemetry/program-logger.ts";
import type { Clock } from "../core/time/clock.ts";
import { Pauses } from "../core/time/pauses.ts";
import type { Host } from "./execution.ts";
import { never, pause } from "./long-timer.ts";
import type { SagaRows } from "./saga-rows.ts";

/** How long the end of a stop waits for the last records, in milliseconds. */
const lastRecordsMs = 2_000;

/** What a host is made with. */
export interface HostParts {
  readonly clock: Clock;
  readonly random: () => number;
  /** Most calls at once. */
  readonly concurrency: number;
  /** Resolves when this process holds its lease. */
  readonly held: () => Promise<void>;
  readonly undone: (saga: string, step: string) => void;
}

/** What the executions of this process share: its slots for calls, and its stop. */
export class SagaHost implements Host {
  readonly rows: SagaRows;
  readonly #parts: HostParts;
  readonly #cut = new AbortController();
  readonly #running = new Map<object, string>();
  readonly #queue: (() => void)[] = [];
  #isStopping = false;
  #isOver = false;
  #writing = 0;
  #onIdle = (): void => {};

  constructor(rows: SagaRows, parts: HostParts) {
    this.rows = rows;
    this.#parts = parts;
  }

  get cut(): AbortSignal {
    return this.#cut.signal;
  }

  /** Whether no operation begins any more. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Whether nothing is recorded any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  async enter(id: string): Promise<() => void> {
    await this.#parts.held();
    while (this.#running.size >= this.#parts.concurrency && !this.#isStopping) {
      await new Promise<void>((resolve) => void this.#queue.push(resolve));
    }
    if (this.#isStopping) return never();
    const slot = {};
    this.#running.set(slot, id);
    return () => {
      this.#running.delete(slot);
      this.#queue.shift()?.();
      this.#checkIdle();
    };
  }

  undone(saga: string, step: string): void {
    this.#parts.undone(saga, step);
  }

  async surely<T>(run: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#parts;
    const pauses = new Pauses({ initialMs: 100, maxMs: 2_000, multiplier: 2, jitter: 0.2 }, random);
    while (!this.#isOver) {
      try {
        return await run();
      } catch (reason) {
        loggerOfProgram()?.debug(`the database of the sagas has failed: ${toCallError(reason).message}`);
        await pause(clock, pauses.nextMs(), []);
      }
    }
    return never();
  }

  /** An outcome is being recorded. */
  writing(): () => void {
    this.#writing++;
    return () => {
      this.#writing--;
      this.#checkIdle();
    };
  }

  /**
   * Begins no call any more; those that run may end within the grace, in milliseconds, and are recorded then.
   *
   * @returns how many ended by themselves, and the sagas whose call was cut
   */
  async stop(graceMs: number): Promise<{ readonly finished: number; readonly cut: readonly string[] }> {
    const { clock } = this.#parts;
    const begun = this.#running.size;
    this.#isStopping = true;
    const idle = new AbortController();
    this.#onIdle = () => idle.abort();
    this.#checkIdle();
    await pause(clock, graceMs, [idle.signal]);
    const cut = [...this.#running.values()];
    this.#cut.abort(new ConnectError("the process stops", Code.Unavailable));
    if (!idle.signal.aborted) await pause(clock, lastRecordsMs, [idle.signal]);
    this.#isOver = true;
    return { finished: begun - cut.length, cut };
  }

  #checkIdle(): void {
    // The outcome of a call that has just ended is recorded in the next turns.
    if (!this.#isStopping || this.#running.size > 0) return;
    setImmediate(() => {
      if (this.#running.size === 0 && this.#writing === 0) this.#onIdle();
    });
  }
}
