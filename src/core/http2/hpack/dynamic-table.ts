import { fieldOverhead, type TableField } from "./static-table.ts";

/**
 * A dynamic table (RFC 7541 2.3.2): the newest field comes first, the oldest ones are evicted when a new one does not
 * fit.
 */
export class DynamicTable {
  /** A ring of fields whose length is a power of two, or 0 before the first field. */
  #ring: (TableField | undefined)[] = [];
  /** How many fields were ever added. */
  #added = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  /** @param maxBytes The size that the fields may have together, each with 32 bytes beside name and value. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Number of fields. */
  get count(): number {
    return this.#count;
  }

  /** How many fields were ever added: the number of the next one. */
  get added(): number {
    return this.#added;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The size of the fields together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Room that is left without an eviction, in bytes. */
  get room(): number {
    return this.#maxBytes - this.#bytes;
  }

  /** The field that was added `age` fields before the newest; undefined beyond the oldest. */
  at(age: number): TableField | undefined {
    if (age >= this.#count) return undefined;
    return this.#ring[(this.#added - 1 - age) & (this.#ring.length - 1)];
  }

  /** Adds a field; one that is larger than the whole table empties it (RFC 7541 4.4). */
  add(field: TableField): void {
    const bytes = sizeOf(field);
    this.#evict(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#added++ & (this.#ring.length - 1)] = field;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Changes the size, and evicts what no longer fits. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evict(maxBytes);
  }

  #evict(limit: number): void {
    while (this.#bytes > limit && this.#count > 0) {
      const slot = (this.#added - this.#count) & (this.#ring.length - 1);
      const oldest = this.#ring[slot];
      this.#ring[slot] = undefined;
      this.#count--;
      if (oldest !== undefined) this.#bytes -= sizeOf(oldest);
    }
  }

  #grow(): void {
    const length = Math.max(8, this.#ring.length * 2);
    const bigger: (TableField | undefined)[] = Array.from({ length }, () => undefined);
    for (let number = this.#added - this.#count; number < this.#added; number++) {
      bigger[number & (bigger.length - 1)] = this.#ring[number & (this.#ring.length - 1)];
    }
    this.#ring = bigger;
  }
}

/** The size of a field in tables and lists, in bytes; its characters are bytes. */
export function sizeOf({ name, value }: TableField): number {
  return name.length + value.length + fieldOverhead;
}
