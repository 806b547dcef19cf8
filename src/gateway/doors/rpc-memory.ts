/** What doors have compiled for one set of rpcs, for the next set. */
export class RpcMemory {
  readonly #parts = new Map<object, WeakMap<object, unknown>>();

  /** What `make` has made for `owner` and `key`. It goes with them. */
  recall<T>(owner: object, key: object, make: () => T): T {
    let parts = this.#parts.get(owner);
    if (parts === undefined) this.#parts.set(owner, (parts = new WeakMap<object, unknown>()));
    const known = parts.get(key);
    if (known !== undefined) return known as T; // Of the same owner and key.
    const value = make();
    parts.set(key, value);
    return value;
  }

  /** From now on everything is compiled anew. */
  clear(): void {
    this.#parts.clear();
  }

  /** From now on everything of `key` is compiled anew. */
  forget(key: object): void {
    for (const parts of this.#parts.values()) parts.delete(key);
  }
}
