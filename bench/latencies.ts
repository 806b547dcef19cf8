/** The latency of the calls of one lap, in microseconds. */
export interface Latencies {
  /** Half of the calls were as fast or faster. */
  readonly p50: number;
  /** One of a hundred calls was slower. */
  readonly p99: number;
}

/** The latencies of calls that took `times` milliseconds each. */
export function latenciesOf(times: readonly number[]): Latencies {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number): number =>
    (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN) * 1000;
  return { p50: at(0.5), p99: at(0.99) };
}
