import type { Clock } from "./clock.ts";

/** The pause of a loop, one at a time, which can be ended early. It does not keep the process alive. */
export class WakeablePause {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after a time in milliseconds, when the signal fires, or by `end()`; at once for 0 or less. Never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const cancel = this.#clock.after(ms, end, false);
      signal.addEventListener("abort", end);
      this.#wake = end;
    });
  }

  /** Ends the pause at hand, if there is one. */
  end(): void {
    this.#wake?.();
  }
}
