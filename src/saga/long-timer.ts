import type { Clock } from "../core/time/clock.ts";

/** The longest time of one of Node's timers that is surely kept, in milliseconds: about 12 days. */
const longestMs = 2 ** 30;

/** As `clock.after`, for any time: timers of Node fire at once beyond 24 days. It does not keep the process alive. */
export function afterLong(clock: Clock, delayMs: number, fn: () => void): () => void {
  let cancel = (): void => {};
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(Math.max(leftMs, 0), longestMs);
    cancel = clock.after(stepMs, () => (leftMs > stepMs ? arm(leftMs - stepMs) : fn()), false);
  };
  arm(delayMs);
  return () => cancel();
}

/** Resolves after a time in milliseconds, or when one of the signals fires. Never rejects. */
export function pause(clock: Clock, delayMs: number, signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some(({ aborted }) => aborted)) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = afterLong(clock, delayMs, end);
    for (const signal of signals) signal.addEventListener("abort", end);
  });
}

/** What never comes: for work that another process will do. Without a reference to it, what awaits it is collected. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}
