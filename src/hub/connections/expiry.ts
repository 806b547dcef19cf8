import type { Clock } from "../../core/time/clock.ts";

/** The longest wait of a timer: Node's are limited to 31 bits of milliseconds. */
const longestMs = 2 ** 31 - 1;
/** The least time between two looks, in milliseconds. */
const leastMs = 250;

/** Looks at what ends as soon as the first of it does: one timer for all. */
export class Expiry {
  readonly #clock: Clock;
  readonly #wallMs: () => number;
  readonly #sweep: (nowMs: number) => Promise<number>;
  #nextMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  /**
   * @param wallMs milliseconds since 1970
   * @param sweep ends what has ended; resolves with the time at which the next one does, Infinity for none. Never rejects
   */
  constructor(clock: Clock, wallMs: () => number, sweep: (nowMs: number) => Promise<number>) {
    this.#clock = clock;
    this.#wallMs = wallMs;
    this.#sweep = sweep;
  }

  /** Something ends at a time, in milliseconds since 1970. */
  by(atMs: number): void {
    if (atMs >= this.#nextMs) return;
    this.#nextMs = atMs;
    this.#cancel?.();
    const delayMs = Math.min(Math.max(atMs - this.#wallMs(), leastMs), longestMs);
    this.#cancel = this.#clock.after(delayMs, () => void this.#look(), false);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#nextMs = Number.POSITIVE_INFINITY;
  }

  async #look(): Promise<void> {
    this.stop();
    this.by(await this.#sweep(this.#wallMs()));
  }
}
