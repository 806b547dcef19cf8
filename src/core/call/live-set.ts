/** An item that can be in one `LiveSet` at a time. */
export interface Live {
  /** Index in its set; -1 while it is in none. Only the set writes it. */
  livePlace: number;
}

/** What a set has that had no item yet; it is never changed. */
const noItems: never[] = [];

/**
 * A set of active items, which are added and removed with every call. `idle()` resolves when the set is empty.
 *
 * Not a `Set`: V8 replaces the table of a `Set` after some tens of changes and chains the old tables to the new. As
 * soon as one of them is in the old generation, all tables behind it, with every item that was in them, are kept until
 * the next full garbage collection. Here every item stores its own index in an array.
 */
export class LiveSet<T extends Live> implements Iterable<T> {
  #items: T[] = noItems;
  #waiters: (() => void)[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Adds `item`, unless it is in a set already. */
  add(item: T): void {
    if (item.livePlace >= 0) return;
    item.livePlace = this.#items.length;
    // As long as it is: an empty array that grows has room for many.
    if (this.#items === noItems) this.#items = [item];
    else this.#items.push(item);
  }

  /** Removes `item`, if it is in the set. */
  delete(item: T): void {
    const place = item.livePlace;
    if (place < 0) return;
    item.livePlace = -1;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      last.livePlace = place;
      this.#items[place] = last;
    }
    if (this.#items.length > 0 || this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Resolves when the set is empty. */
  idle(): Promise<void> {
    if (this.#items.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Iterates over a snapshot of the items, in no particular order. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items].values();
  }
}
