/** How much of a second's connections may come in one moment. */
const burstShare = 0.1;

/** A token bucket for connections: a tenth of a second's number at once, then evenly. */
export class ConnectionRate {
  readonly #now: () => number;
  /** When all of the burst is there again, by the clock. */
  #fullAtMs = Number.NEGATIVE_INFINITY;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * A connection has come.
   *
   * @param perSecond how many may in a second
   * @returns whether it is one of those
   */
  admits(perSecond: number): boolean {
    const nowMs = this.#now();
    const intervalMs = 1_000 / perSecond;
    const burstMs = Math.max(intervalMs, 1_000 * burstShare);
    const fullAtMs = Math.max(this.#fullAtMs, nowMs) + intervalMs;
    if (fullAtMs - nowMs > burstMs) return false;
    this.#fullAtMs = fullAtMs;
    return true;
  }
}
