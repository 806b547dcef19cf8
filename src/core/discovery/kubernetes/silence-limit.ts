import type { Clock } from "../../time/clock.ts";

/** Ends a request that is silent for too long, or when the signal fires. */
export class SilenceLimit implements Disposable {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #closed = new AbortController();
  readonly #outer: AbortSignal;
  readonly #abort = (): void => this.#closed.abort(this.#outer.reason);
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, ms: number, outer: AbortSignal) {
    this.#clock = clock;
    this.#ms = ms;
    this.#outer = outer;
    outer.addEventListener("abort", this.#abort);
    this.begin();
  }

  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** The time begins anew. */
  begin(): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(
      this.#ms,
      () => this.#closed.abort(new Error(`silent for ${this.#ms} ms`)),
      false,
    );
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#outer.removeEventListener("abort", this.#abort);
    // A response of which not all is read is given up.
    this.#closed.abort();
  }
}
