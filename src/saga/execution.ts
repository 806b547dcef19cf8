import { Code, ConnectError } from "../core/errors/errors.ts";
import type { RecordedFailure, SagaControl, TakenSignal } from "./journal.ts";
import { never } from "./long-timer.ts";
import type { SagaRows, TakenSaga } from "./saga-rows.ts";

/** What executions of a process share. */
export interface Host {
  readonly rows: SagaRows;
  /** Fires when running calls must end. Its reason is a ConnectError UNAVAILABLE. */
  readonly cut: AbortSignal;
  /** Resolves when a call may run; never while the process stops. @returns to be called at its end */
  enter(name: string): Promise<() => void>;
  /** Runs a statement until the database has answered. Never resolves once the process stops. */
  surely<T>(run: () => Promise<T>): Promise<T>;
  undone(saga: string, step: string): void;
}

/** One execution of a saga in this process. */
export class Execution implements SagaControl {
  readonly taken: TakenSaga;
  readonly isResumed: boolean;
  readonly isPivoted: boolean;
  readonly cut: AbortSignal;
  readonly #host: Host;
  readonly #cancel = new AbortController();
  readonly #lost = new AbortController();
  readonly #waiting = new Set<() => void>();

  constructor(host: Host, taken: TakenSaga) {
    this.#host = host;
    this.taken = taken;
    this.isResumed = taken.runs > 1;
    this.isPivoted = taken.pivot !== undefined;
    this.cut = AbortSignal.any([host.cut, this.#lost.signal]);
    this.woken(taken.cancelWhy);
  }

  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  /** Whether it goes on in another process, and nothing of it may happen here. */
  get isLost(): boolean {
    return this.#lost.signal.aborted;
  }

  /** A signal has come, or a cancellation. */
  woken(cancelWhy: string | undefined): void {
    if (cancelWhy !== undefined && !this.cancelled.aborted) {
      this.#cancel.abort(new ConnectError(`the saga was cancelled: ${cancelWhy}`, Code.Canceled));
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** It goes on elsewhere. */
  lost(): void {
    this.#lost.abort(new ConnectError("the saga goes on in another process", Code.Unavailable));
  }

  async enter(): Promise<() => void> {
    const leave = await this.#host.enter(this.taken.id);
    if (!this.isLost) return leave;
    leave();
    return never();
  }

  async pass(pivot: string): Promise<boolean> {
    const { id, runs } = this.taken;
    const result = await this.#host.surely(() => this.#host.rows.pass(id, runs, pivot));
    if (result === "fenced") return never();
    return result === "passed";
  }

  async undoing(failure: RecordedFailure): Promise<void> {
    const { id, runs } = this.taken;
    if (!(await this.#host.surely(() => this.#host.rows.undoing(id, runs, failure)))) return never();
  }

  undone(step: string): void {
    this.#host.undone(this.taken.name, step);
  }

  async signal(type: string, taken: readonly string[], ended: AbortSignal): Promise<TakenSignal | undefined> {
    while (!ended.aborted) {
      const woken = this.#woken(ended);
      const { id } = this.taken;
      const first = await this.#host.surely(() => this.#host.rows.firstSignal(id, type, taken));
      if (first !== undefined) return first;
      await woken;
    }
    return undefined;
  }

  #woken(ended: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        ended.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      ended.addEventListener("abort", wake);
    });
  }
}
