/** Counts open calls by the hash of their key. Only keys with open calls are kept. */
export class OpenCalls {
  readonly #counts = new Map<number, number>();
  #open = 0;

  /** Open calls of all keys. */
  get size(): number {
    return this.#open;
  }

  /** Keys with open calls. */
  get keys(): number {
    return this.#counts.size;
  }

  /** Open calls of a key. */
  of(high: number, low: number): number {
    return this.#counts.get(together(high, low)) ?? 0;
  }

  /** A call opens. @returns what `leave` needs */
  enter(high: number, low: number): number {
    const key = together(high, low);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.#open++;
    return key;
  }

  /** A call has ended. @param key what `enter` has returned */
  leave(key: number): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left <= 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
    this.#open--;
  }
}

/** 53 bits of both halves, as one number. */
function together(high: number, low: number): number {
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
