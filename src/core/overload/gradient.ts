/** Bounds of the limit. */
const leastLimit = 10;
const mostLimit = 1_000;
const firstLimit = 100;
/** The time between two changes of the limit, in milliseconds, and the fewest calls that make one. */
const windowMs = 100;
const leastSamples = 10;
const mostSamples = 256;
/** How much longer than usual calls may take. */
const tolerance = 1.5;
/** Calls that may wait inside of what is called. */
const headroom = 4;
/** How much of a new limit counts. */
const smoothing = 0.2;
/** How much of a new latency counts for the usual one: while there is little to do, and while there is much. */
const quietWeight = 0.05;
const busyWeight = 0.002;

/**
 * How many calls should be in flight, by their latency (the gradient of Netflix's concurrency-limits): calls that take
 * longer than usual wait somewhere, so that fewer of them are as many a second. What is usual is learnt while fewer than
 * half of the limit run; then the limit does not change.
 */
export class Gradient {
  #limit = firstLimit;
  #usualMs = 0;
  #most = 0;
  #endsMs = 0;
  /** Latencies of this window, as many as `#count`. */
  readonly #samples = new Float64Array(mostSamples);
  #count = 0;

  /** The most calls in flight. */
  get limit(): number {
    return Math.round(this.#limit);
  }

  /**
   * A call has ended.
   *
   * @param inFlight calls in flight beside it
   */
  add(latencyMs: number, inFlight: number, nowMs: number): void {
    // A few are enough for the middle one, and slow clients among them do not move it.
    if (this.#count < mostSamples) this.#samples[this.#count++] = latencyMs;
    if (inFlight > this.#most) this.#most = inFlight;
    if (nowMs < this.#endsMs || this.#count < leastSamples) return;
    this.#endsMs = nowMs + windowMs;
    this.#step(middleOf(this.#samples.subarray(0, this.#count)));
    this.#count = 0;
    this.#most = 0;
  }

  #step(latencyMs: number): void {
    const isQuiet = this.#most < this.#limit / 2;
    // What is faster than usual is usual from now on.
    const weight = isQuiet || latencyMs < this.#usualMs ? quietWeight : busyWeight;
    this.#usualMs = this.#usualMs === 0 ? latencyMs : this.#usualMs + (latencyMs - this.#usualMs) * weight;
    if (isQuiet) return;
    const gradient = Math.max(0.5, Math.min(1, (tolerance * this.#usualMs) / Math.max(latencyMs, 0.001)));
    const limit = this.#limit * gradient + headroom;
    const smoothed = this.#limit * (1 - smoothing) + limit * smoothing;
    this.#limit = Math.max(leastLimit, Math.min(mostLimit, smoothed));
  }
}

/** Sorts the samples: without a function that compares them, that is done by native code. */
function middleOf(samples: Float64Array): number {
  samples.sort();
  return samples[samples.length >> 1] ?? 0;
}
