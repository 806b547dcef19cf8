const firstCapacity = 64;
const none = -1;

/**
 * Numbers by a hash of 64 bits: at most `maxKeys` entries, of which the one unused for the longest time leaves for a new
 * one. It is made of a few arrays of numbers, about 50 bytes an entry, so that it costs the garbage collector nothing.
 */
export class KeyTable {
  /** What the owner of the table keeps of an entry; 0 at first. */
  a = new Float64Array(firstCapacity);
  b = new Float64Array(firstCapacity);
  /** A third number and some bits, for tables that have them. */
  c: Float64Array;
  bits: Uint8Array;
  readonly #maxKeys: number;
  #capacity = firstCapacity;
  #high = new Int32Array(firstCapacity);
  #low = new Int32Array(firstCapacity);
  /** First entry of each chain, and the next one in it. */
  #heads = new Int32Array(firstCapacity).fill(none);
  #next = new Int32Array(firstCapacity);
  /** The order of use: a list from the newest entry to the oldest. */
  #newer = new Int32Array(firstCapacity);
  #older = new Int32Array(firstCapacity);
  #newest = none;
  #oldest = none;
  #size = 0;

  constructor(maxKeys: number, hasThird = false) {
    this.#maxKeys = maxKeys;
    this.c = new Float64Array(hasThird ? firstCapacity : 0);
    this.bits = new Uint8Array(hasThird ? firstCapacity : 0);
  }

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Memory of the arrays, in bytes. */
  get bytes(): number {
    return this.#capacity * (2 * 8 + 6 * 4) + this.c.byteLength + this.bits.byteLength;
  }

  /** The entry of a hash; -1 for none. */
  find(high: number, low: number): number {
    let entry = this.#heads[low & (this.#capacity - 1)] ?? none;
    while (entry !== none && (this.#low[entry] !== low || this.#high[entry] !== high)) {
      entry = this.#next[entry] ?? none;
    }
    return entry;
  }

  /** An entry has been used: it is the newest one. */
  use(entry: number): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#linkNewest(entry);
  }

  /** A new entry for a hash that has none, as the newest one. */
  add(high: number, low: number): number {
    let entry = this.#size;
    if (entry < this.#maxKeys) {
      if (entry === this.#capacity) this.#grow();
      this.#size++;
    } else {
      entry = this.#oldest;
      this.#unlink(entry);
      this.#unchain(entry);
    }
    this.#high[entry] = high;
    this.#low[entry] = low;
    this.a[entry] = 0;
    this.b[entry] = 0;
    if (this.c.length > 0) {
      this.c[entry] = 0;
      this.bits[entry] = 0;
    }
    this.#chain(entry);
    this.#linkNewest(entry);
    return entry;
  }

  #chain(entry: number): void {
    const chain = (this.#low[entry] ?? 0) & (this.#capacity - 1);
    this.#next[entry] = this.#heads[chain] ?? none;
    this.#heads[chain] = entry;
  }

  #unchain(entry: number): void {
    const chain = (this.#low[entry] ?? 0) & (this.#capacity - 1);
    const next = this.#next[entry] ?? none;
    let at = this.#heads[chain] ?? none;
    if (at === entry) {
      this.#heads[chain] = next;
      return;
    }
    while (at !== none) {
      const after = this.#next[at] ?? none;
      if (after === entry) this.#next[at] = next;
      at = after === entry ? none : after;
    }
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry] ?? none;
    const older = this.#older[entry] ?? none;
    if (newer === none) this.#newest = older;
    else this.#older[newer] = older;
    if (older === none) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  #linkNewest(entry: number): void {
    this.#newer[entry] = none;
    this.#older[entry] = this.#newest;
    if (this.#newest === none) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
  }

  #grow(): void {
    this.#capacity *= 2;
    this.a = widened(this.a, new Float64Array(this.#capacity));
    this.b = widened(this.b, new Float64Array(this.#capacity));
    if (this.c.length > 0) {
      this.c = widened(this.c, new Float64Array(this.#capacity));
      this.bits = widened(this.bits, new Uint8Array(this.#capacity));
    }
    this.#high = widened(this.#high, new Int32Array(this.#capacity));
    this.#low = widened(this.#low, new Int32Array(this.#capacity));
    this.#newer = widened(this.#newer, new Int32Array(this.#capacity));
    this.#older = widened(this.#older, new Int32Array(this.#capacity));
    this.#next = new Int32Array(this.#capacity);
    this.#heads = new Int32Array(this.#capacity).fill(none);
    for (let entry = 0; entry < this.#size; entry++) this.#chain(entry);
  }
}

function widened<T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
