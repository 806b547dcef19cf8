import type { Clock } from "../../time/clock.ts";
import { WakeablePause } from "../../time/wakeable-pause.ts";

/** Time per request, in milliseconds, and how many may follow at once on one another: a list and its watch. */
const requestMs = 1_100;
const most = 2;

/** Spreads requests: less than one in a second, whatever is answered. */
export class RequestPace {
  readonly #clock: Clock;
  readonly #pause: WakeablePause;
  /** When all that was used will have come back. */
  #fullMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#pause = new WakeablePause(clock);
  }

  /** Resolves when the next request may begin, or when the signal fires. */
  async next(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.nowMs();
    const waitMs = this.#fullMs - nowMs - (most - 1) * requestMs;
    this.#fullMs = Math.max(this.#fullMs, nowMs) + requestMs;
    await this.#pause.wait(waitMs, signal);
    signal.throwIfAborted();
  }
}
