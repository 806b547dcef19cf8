/** What can be in a `LiveSet`: in one at a time. */
export interface Live {
  /** Place in its set; -1 outside of any. Only the set writes it. */
  livePlace: number;
}

/**
 * What is under way: things that come and go with every call, and someone who may wait for the last to go.
 *
 * A `Set` would do, but V8 replaces the table of one after some tens of changes and chains the old tables to the new;
 * as soon as one of them is old enough, all behind it, with everything that was in them, stay until the next collection
 * of the whole heap. Here things know their place in an array.
 */
export class LiveSet<T extends Live> implements Iterable<T> {
  readonly #items: T[] = [];
  #waiters: (() => void)[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Adds `item`, unless it is there. */
  add(item: T): void {
    if (item.livePlace >= 0) return;
    item.livePlace = this.#items.length;
    this.#items.push(item);
  }

  /** Takes `item` out, if it is there. */
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

  /** Resolves when nothing is there. */
  idle(): Promise<void> {
    if (this.#items.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** What is there now, whatever comes or goes meanwhile; in no order. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.#items].values();
  }
}
