import type { Clock } from "../../src/core/time/clock.ts";

/** A clock on which time passes so many times as fast as on the wall. */
export class ScaledClock implements Clock {
  readonly #times: number;
  readonly #startMs = performance.now();

  constructor(times: number) {
    this.#times = times;
  }

  nowMs(): number {
    return (performance.now() - this.#startMs) * this.#times;
  }

  after(delayMs: number, fn: () => void, keepsProcess = true): () => void {
    const timer = setTimeout(fn, delayMs / this.#times);
    if (!keepsProcess) timer.unref();
    return () => clearTimeout(timer);
  }

  /** Resolves when so much time has passed on this clock. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }
}
