/** Parts of a window: what happened falls out of it in steps of a tenth. */
const parts = 10;

/**
 * Counts of several kinds of events over the last `windowMs`, in ten buckets: adding and reading cost the same however
 * many events there are.
 */
export class SlidingCounts {
  readonly #partMs: number;
  readonly #kinds: number;
  readonly #buckets: Float64Array;
  readonly #totals: Float64Array;
  /** Number of the current bucket since the clock's zero. */
  #part = Number.NEGATIVE_INFINITY;
  /** When it ends. */
  #endMs = Number.NEGATIVE_INFINITY;
  /** Index of its first count. */
  #first = 0;

  /** @param kinds number of kinds; a kind is its index */
  constructor(windowMs: number, kinds: number) {
    this.#partMs = windowMs / parts;
    this.#kinds = kinds;
    this.#buckets = new Float64Array(kinds * parts);
    this.#totals = new Float64Array(kinds);
  }

  /** Counts one event. */
  add(kind: number, nowMs: number): void {
    if (nowMs >= this.#endMs) this.#advance(nowMs);
    const at = this.#first + kind;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
    this.#totals[kind] = (this.#totals[kind] ?? 0) + 1;
  }

  /** How many events of a kind the window has. */
  total(kind: number, nowMs: number): number {
    if (nowMs >= this.#endMs) this.#advance(nowMs);
    return this.#totals[kind] ?? 0;
  }

  /** Forgets all events. */
  clear(): void {
    this.#buckets.fill(0);
    this.#totals.fill(0);
  }

  #advance(nowMs: number): void {
    const part = Math.floor(nowMs / this.#partMs);
    if (part - this.#part >= parts) this.clear();
    else for (let passed = this.#part + 1; passed <= part; passed++) this.#empty(passed % parts);
    this.#part = part;
    this.#first = (part % parts) * this.#kinds;
    this.#endMs = (part + 1) * this.#partMs;
  }

  #empty(bucket: number): void {
    for (let kind = 0; kind < this.#kinds; kind++) {
      const at = bucket * this.#kinds + kind;
      this.#totals[kind] = (this.#totals[kind] ?? 0) - (this.#buckets[at] ?? 0);
      this.#buckets[at] = 0;
    }
  }
}
