/** A stream as a table knows it. */
export interface NumberedStream {
  /** The number of the stream (RFC 9113, 5.1.1); it does not change while the stream is in a table. */
  readonly id: number;
}

/** Slots of the first table of a connection that has streams. */
const leastSlots = 16;

/** A table of more slots is dropped when its last stream has gone. */
const mostKeptSlots = 256;

/** The table of all connections without streams. */
const noSlots: readonly undefined[] = Object.freeze([undefined]);

/**
 * The open streams of a connection, by their numbers: a hash table with linear probing, of which at most half is in use.
 *
 * Not a `Map`, as `LiveSet` is not a `Set`: V8 replaces the table of a `Map` after some tens of changes and chains the
 * old tables to the new. As soon as one of them is in the old generation, all streams that were in those behind it, with
 * their calls, are kept until the next full garbage collection.
 */
export class StreamTable<S extends NumberedStream> implements Iterable<S> {
  #slots: readonly (S | undefined)[] = noSlots;
  #mask = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): S | undefined {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** Adds a stream; there must be none of its number. */
  add(stream: S): void {
    if (2 * ++this.#size > this.#slots.length) this.#grow();
    put(this.#slots as (S | undefined)[], stream); // Grown, thus a table of its own.
  }

  /** @returns whether there was a stream of this number */
  delete(id: number): boolean {
    const mask = this.#mask;
    let free = (id >>> 1) & mask;
    for (; this.#slots[free]?.id !== id; free = (free + 1) & mask) {
      if (this.#slots[free] === undefined) return false;
    }
    const slots = this.#slots as (S | undefined)[]; // One with a stream in it.
    // Streams behind it that were not put where they belong move up, so that they are still found.
    for (let at = (free + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) break;
      if (((at - (stream.id >>> 1)) & mask) < ((at - free) & mask)) continue;
      slots[free] = stream;
      free = at;
    }
    slots[free] = undefined;
    if (--this.#size === 0 && slots.length > mostKeptSlots) this.#use(noSlots);
    return true;
  }

  /** Iterates over a snapshot of the streams, in the order of their numbers. */
  [Symbol.iterator](): IterableIterator<S> {
    return this.#all.toSorted((one, other) => one.id - other.id).values();
  }

  get #all(): S[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  #grow(): void {
    const length = Math.max(leastSlots, 2 * this.#slots.length);
    const larger = Array.from({ length }, (): S | undefined => undefined);
    for (const stream of this.#all) put(larger, stream);
    this.#use(larger);
  }

  #use(slots: readonly (S | undefined)[]): void {
    this.#slots = slots;
    this.#mask = slots.length - 1;
  }
}

function put<S extends NumberedStream>(slots: (S | undefined)[], stream: S): void {
  const mask = slots.length - 1;
  let at = (stream.id >>> 1) & mask;
  while (slots[at] !== undefined) at = (at + 1) & mask;
  slots[at] = stream;
}
