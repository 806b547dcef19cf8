import type { Clock } from "../../src/core/time/clock.ts";

/** A clock that a test moves. */
export class VirtualClock implements Clock {
  readonly #timers: { atMs: number; fn: () => void }[] = [];
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, fn };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  /** When the next timer is due; undefined without timers. */
  get nextMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Lets this many milliseconds pass, and runs the timers that become due, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let timer = this.#next(); timer !== undefined && timer.atMs <= untilMs; timer = this.#next()) {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.fn();
    }
    this.#nowMs = untilMs;
  }

  /** As `advance`, but what promises have to do is done after each timer. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let timer = this.#next(); timer !== undefined && timer.atMs <= untilMs; timer = this.#next()) {
      this.advance(Math.max(0, timer.atMs - this.#nowMs));
      await settle();
    }
    this.advance(Math.max(0, untilMs - this.#nowMs));
    await settle();
  }

  #next(): { atMs: number; fn: () => void } | undefined {
    let first: { atMs: number; fn: () => void } | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.atMs < first.atMs) first = timer;
    return first;
  }
}

/** Resolves when all promises that are settled have had their reactions. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
