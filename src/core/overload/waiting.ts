import type { Clock } from "../time/clock.ts";

/** How long calls wait once the queue has not been empty for this long, in milliseconds: then there are too many. */
const burstMs = 100;
const sustainedWaitMs = 20;

interface Waiting {
  readonly sinceMs: number;
  readonly enter: () => boolean;
  readonly refuse: () => void;
}

/**
 * Calls that wait for a place, the newest first: under overload the oldest has the least time left. A full queue loses
 * its oldest call. Calls of a burst wait up to the whole time; once the queue is never empty, waiting helps none of them,
 * and they wait for 20 ms.
 */
export class WaitingCalls {
  /** Whether there are too many calls for some time already. */
  isSustained = false;
  #size: number;
  #waitMs: number;
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #calls: Waiting[] = [];
  #emptyAtMs = 0;
  #cancelTimer: (() => void) | undefined;

  /** @param size most calls that wait */
  constructor(size: number, waitMs: number, clock: Clock) {
    this.#size = size;
    this.#waitMs = waitMs;
    this.#clock = clock;
    this.#emptyAtMs = clock.nowMs();
  }

  get size(): number {
    return this.#calls.length;
  }

  /** Takes other numbers, for calls that wait already too. */
  replace(size: number, waitMs: number): void {
    this.#size = size;
    this.#waitMs = waitMs;
  }

  /**
   * Lets a call wait.
   *
   * @param enter takes a place; returns false for a call that no longer wants it
   * @param refuse is called when it has waited for too long, or newer calls have taken its place in the queue
   */
  add(enter: () => boolean, refuse: () => void): void {
    if (this.#size === 0) {
      refuse();
      return;
    }
    const nowMs = this.#clock.nowMs();
    if (this.#calls.length === 0) this.#emptyAtMs = nowMs;
    if (this.#calls.length >= this.#size) this.#calls.shift()?.refuse();
    this.#calls.push({ sinceMs: nowMs, enter, refuse });
    if (this.#cancelTimer === undefined) this.#watch();
  }

  /** A place is free. @returns whether a call has taken it */
  next(): boolean {
    for (let newest = this.#calls.pop(); newest !== undefined; newest = this.#calls.pop()) {
      if (newest.enter()) return true;
    }
    return false;
  }

  #limitMs(nowMs: number): number {
    const isSustained = this.isSustained || nowMs - this.#emptyAtMs > burstMs;
    return isSustained ? Math.min(sustainedWaitMs, this.#waitMs) : this.#waitMs;
  }

  #watch(): void {
    this.#cancelTimer = undefined;
    const nowMs = this.#clock.nowMs();
    const limitMs = this.#limitMs(nowMs);
    for (
      let [oldest] = this.#calls;
      oldest !== undefined && nowMs - oldest.sinceMs >= limitMs;
      [oldest] = this.#calls
    ) {
      this.#calls.shift();
      oldest.refuse();
    }
    if (this.#calls.length === 0) return;
    this.#cancelTimer = this.#clock.after(Math.min(limitMs, sustainedWaitMs), () => this.#watch(), false);
  }
}
