import type { TraceParent } from "../metadata/trace-context.ts";
import { durationBuckets } from "./metric-list.ts";

/** The durations of one time series: plain counts, which are converted to samples when the page is read. */
export class Durations {
  readonly #bounds: readonly number[];
  /** Number of durations in each bucket, and above the last bound. */
  readonly #counts: number[];
  #sum = 0;
  /** The last sampled trace of each bucket; undefined while there was none. */
  #exemplars: (Exemplar | undefined)[] | undefined;

  /** @param bounds upper bounds of the buckets. Default: `durationBuckets` */
  constructor(bounds: readonly number[] = durationBuckets) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** Adds a duration in seconds. @param trace what took so long */
  observe(seconds: number, trace?: TraceParent): void {
    const counts = this.#counts;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket++;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.#sum += seconds;
    if (trace === undefined || !trace.sampled) return;
    const { traceId, spanId } = trace;
    (this.#exemplars ??= [])[bucket] = { traceId, spanId, seconds, timeMs: Date.now() };
  }

  /** How many durations there are. */
  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** All durations together, in seconds. */
  get sum(): number {
    return this.#sum;
  }

  /** How many durations are in each bucket, and above the last bound. */
  get counts(): readonly number[] {
    return this.#counts;
  }

  /** The samples of a Prometheus histogram called `name`. */
  samples(name: string, labels: Labels): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((more, bucket): Sample => {
      count += more;
      const le = this.#bounds[bucket] ?? "+Inf";
      const sample = { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
      const exemplar = this.#exemplars?.[bucket];
      return exemplar === undefined ? sample : { ...sample, exemplar };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

type Labels = Readonly<Record<string, string>>;

/** One line of a metric. */
export interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** One of the things that were counted; undefined for none. */
  readonly exemplar?: Exemplar;
}

/** A trace that is an example of what a bucket has counted. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly seconds: number;
  /** When it ended, in milliseconds since 1970. */
  readonly timeMs: number;
}
