/**
 * A map of bounded memory: the oldest entries make room for a new one, where there are too many or they are too large. An
 * entry that is larger than all may be is not kept.
 */
export class BoundedMap<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly bytes: number }>();
  readonly #max: number;
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param limits how many entries there may be, and how many bytes by what `set` is told */
  constructor({ entries, bytes }: { readonly entries: number; readonly bytes: number }) {
    this.#max = entries;
    this.#maxBytes = bytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** As `get`, and the entry is the newest from now on: for maps that are not read on hot paths. */
  use(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param bytes memory that the entry needs */
  set(key: string, value: V, bytes: number): void {
    this.delete(key);
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max && this.#bytes <= this.#maxBytes) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
