/** How pauses between attempts grow. */
export interface Backoff {
  /** The first pause, in milliseconds. */
  readonly initialMs: number;
  /** The longest pause, in milliseconds, before jitter. */
  readonly maxMs: number;
  /** Factor between one pause and the next. */
  readonly multiplier: number;
  /** How far a pause may be from its value by chance, as a share of it: 0 to 1. */
  readonly jitter: number;
}

/** The pauses between attempts of one thing: exponential, with jitter. */
export class Pauses {
  readonly #backoff: Backoff;
  readonly #random: () => number;
  #taken = 0;

  /** @param random returns numbers from 0 to 1 */
  constructor(backoff: Backoff, random: () => number = Math.random) {
    this.#backoff = backoff;
    this.#random = random;
  }

  /** The next pause, in milliseconds. */
  nextMs(): number {
    const { initialMs, maxMs, multiplier, jitter } = this.#backoff;
    const pauseMs = Math.min(initialMs * multiplier ** this.#taken++, maxMs);
    return pauseMs * (1 - jitter + 2 * jitter * this.#random());
  }

  /** The next pause is the first one again. */
  reset(): void {
    this.#taken = 0;
  }
}
