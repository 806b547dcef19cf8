/** Values that were used last: those that were not used for the longest time go first. */
export class RecentMap<T> {
  readonly #entries: number;
  readonly #bytes: number;
  /** The least used first. */
  readonly #kept = new Map<string, { readonly value: T; readonly bytes: number }>();
  #sum = 0;

  /** @param limits how many values may be kept, and what they may take in memory */
  constructor({ entries, bytes }: { readonly entries: number; readonly bytes: number }) {
    this.#entries = entries;
    this.#bytes = bytes;
  }

  get(key: string): T | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key); // It becomes the last one used.
    this.#kept.set(key, kept);
    return kept.value;
  }

  /** @param bytes what the value is thought to take in memory */
  set(key: string, value: T, bytes: number): void {
    this.#delete(key);
    this.#kept.set(key, { value, bytes });
    this.#sum += bytes;
    for (const first of this.#kept.keys()) {
      if (this.#kept.size <= this.#entries && this.#sum <= this.#bytes) return;
      this.#delete(first);
    }
  }

  #delete(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#sum -= kept.bytes;
    this.#kept.delete(key);
  }
}
