/** Buckets for each doubling: a quantile is right within 1 / 16 of its value. */
const perDoubling = 16;
/** Doublings from a microsecond to more than an hour. */
const doublings = 32;
const leastMs = 0.001;

/** The quantile of the last `size` durations, in constant memory. */
export class LatencyQuantile {
  readonly #quantile: number;
  readonly #leastSamples: number;
  readonly #counts = new Uint32Array(perDoubling * doublings);
  /** The bucket of each of the last samples. */
  readonly #ring: Uint16Array;
  #samples = 0;

  /**
   * @param quantile above 0, below 1
   * @param leastSamples fewer samples than this have no quantile
   */
  constructor(quantile: number, leastSamples: number, size = 1_024) {
    this.#quantile = quantile;
    this.#leastSamples = leastSamples;
    this.#ring = new Uint16Array(size);
  }

  /** A call has taken this long. */
  add(durationMs: number): void {
    const at = this.#samples++ % this.#ring.length;
    if (this.#samples > this.#ring.length) {
      const oldest = this.#ring[at] ?? 0;
      this.#counts[oldest] = (this.#counts[oldest] ?? 0) - 1;
    }
    const exact = Math.floor(Math.log2(Math.max(durationMs, leastMs) / leastMs) * perDoubling);
    const bucket = Math.min(exact, this.#counts.length - 1);
    this.#ring[at] = bucket;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** The quantile in milliseconds; undefined before there are enough samples. */
  get valueMs(): number | undefined {
    if (this.#samples < this.#leastSamples) return undefined;
    let left = Math.ceil(this.#quantile * Math.min(this.#samples, this.#ring.length));
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return leastMs * 2 ** ((bucket + 1) / perDoubling);
    }
    return undefined;
  }
}
