import type { Clock } from "../core/time/clock.ts";

/** The bounds of a batch. */
export interface BatchBounds {
  /** Most items. */
  readonly max: number;
  /** How long the first one waits for others, in milliseconds. */
  readonly waitMs: number;
}

/** A batch that grows. */
interface Growing<T> {
  readonly items: T[];
  /** Ends the wait. */
  readonly cancel: () => void;
}

/** Gathers items: those of a place, in the order in which they came, until there are enough or the first has waited. */
export class Batches<T> {
  readonly #bounds: BatchBounds;
  readonly #clock: Clock;
  readonly #full: (place: string, items: T[]) => void;
  readonly #growing = new Map<string, Growing<T>>();

  /** @param full is called with each batch, which is the callee's from then on */
  constructor(bounds: BatchBounds, clock: Clock, full: (place: string, items: T[]) => void) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#full = full;
  }

  /** How many items wait. */
  get size(): number {
    let size = 0;
    for (const { items } of this.#growing.values()) size += items.length;
    return size;
  }

  /** Adds an item. @param place what its batch has one order of */
  add(place: string, item: T): void {
    let growing = this.#growing.get(place);
    if (growing === undefined) {
      const cancel = this.#clock.after(this.#bounds.waitMs, () => this.#give(place));
      this.#growing.set(place, (growing = { items: [], cancel }));
    }
    growing.items.push(item);
    if (growing.items.length >= this.#bounds.max) this.#give(place);
  }

  /** Takes items out that wait. */
  take(isTaken: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (const [place, { items, cancel }] of this.#growing) {
      const kept = items.filter((item) => !isTaken(item));
      taken.push(...items.filter(isTaken));
      items.splice(0, items.length, ...kept);
      if (kept.length > 0) continue;
      cancel();
      this.#growing.delete(place);
    }
    return taken;
  }

  #give(place: string): void {
    const growing = this.#growing.get(place);
    if (growing === undefined) return;
    growing.cancel();
    this.#growing.delete(place);
    this.#full(place, growing.items);
  }
}
