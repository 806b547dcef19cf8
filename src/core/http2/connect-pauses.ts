import type { ConnectBackoff } from "./connection-options.ts";

/** The pauses between attempts to connect: exponential backoff with jitter, see `ConnectBackoff`. */
export class ConnectPauses {
  readonly #backoff: ConnectBackoff;
  readonly #random: () => number;
  /** Failed attempts since the last successful one. */
  #failures = 0;

  /** @param random returns numbers from 0 to 1 */
  constructor(backoff: ConnectBackoff, random: () => number) {
    this.#backoff = backoff;
    this.#random = random;
  }

  /** An attempt has failed. @returns the pause before the next one, in milliseconds */
  afterFailureMs(): number {
    const { initialMs, maxMs } = this.#backoff;
    const pauseMs = Math.min(initialMs * 1.6 ** this.#failures++, maxMs);
    return pauseMs * (0.8 + 0.4 * this.#random());
  }

  /** Whether an attempt has failed since the last successful one. */
  get hasFailures(): boolean {
    return this.#failures > 0;
  }

  /** Counts an attempt that is not followed by a pause as a failed one. */
  countFailure(): void {
    this.#failures++;
  }

  /** An attempt has succeeded: the next pause is the first one again. */
  reset(): void {
    this.#failures = 0;
  }
}
