import { performance } from "node:perf_hooks"; // The global of that name is a getter, which costs as much again.

/** Time as state machines use it. Tests pass a clock of their own. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  nowMs(): number;
  /**
   * Calls `fn` once, after a time in milliseconds.
   *
   * @param keepsProcess whether the process stays alive for it. Default: true
   * @returns a function that cancels the call
   */
  after(delayMs: number, fn: () => void, keepsProcess?: boolean): () => void;
}

/** The clock of this process. */
export const systemClock: Clock = Object.freeze({
  nowMs: () => performance.now(),
  after(delayMs: number, fn: () => void, keepsProcess = true) {
    const timer = setTimeout(fn, delayMs);
    if (!keepsProcess) timer.unref();
    return () => clearTimeout(timer);
  },
});
