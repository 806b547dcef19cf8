/** How long a client waits before it tries again. */
export interface BackoffOptions {
  /** The longest wait before the second attempt, in milliseconds; it doubles with each attempt. Default: 1,000. */
  readonly initialMs: number;
  /** The longest wait before any attempt, in milliseconds. Default: 30,000. */
  readonly maxMs: number;
}

/** Waits with full jitter: clients that were cut off together do not come back together. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #attempts = 0;

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /**
   * The wait before the next attempt, in milliseconds.
   *
   * @param leastMs what the server has asked for: the wait is that, or up to half more
   */
  next(leastMs = 0): number {
    const { initialMs, maxMs } = this.#options;
    const ownMs = this.#random() * Math.min(maxMs, initialMs * 2 ** this.#attempts++);
    return Math.max(ownMs, leastMs * (1 + this.#random() / 2));
  }

  /** An attempt has lived long enough: the next failure is a first one. */
  reset(): void {
    this.#attempts = 0;
  }
}
