import type { Clock } from "../../src/core/time/clock.ts";

/** Something that happens. */
interface Event {
  readonly atMs: number;
  /** Of events of one time, the order in which they were made. */
  readonly number: number;
  /** Undefined after it was cancelled. */
  fn: (() => void) | undefined;
}

/** Virtual time: a clock whose timers are a heap, so that ten thousands of them cost little. */
export class Timeline implements Clock {
  readonly #heap: Event[] = [];
  #made = 0;
  #nowMs = 0;
  #hasPromises = false;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#made++, fn };
    this.#push(event);
    return () => (event.fn = undefined);
  }

  /** A promise is settled: what waits for it goes on before time does. */
  promised(): void {
    this.#hasPromises = true;
  }

  /** Lets time pass until a moment, in milliseconds. */
  async until(endMs: number): Promise<void> {
    await this.#settle();
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#pop();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn?.();
      if (this.#hasPromises) await this.#settle();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  async #settle(): Promise<void> {
    while (this.#hasPromises) {
      this.#hasPromises = false;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    for (;;) {
      const above = (at - 1) >> 1;
      const parent = at === 0 ? undefined : heap[above];
      if (parent === undefined || !isBefore(event, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const least = isRight ? right : left;
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs === other.atMs ? one.number < other.number : one.atMs < other.atMs;
}

/** Numbers from 0 to 1, without 1, that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
