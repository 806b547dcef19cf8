import { metricList } from "../telemetry/metric-list.ts";
import type { MetricValue, MetricValues } from "../telemetry/open-metrics.ts";

/** Values of one worker. */
interface Snapshot {
  readonly place: number;
  metrics: readonly MetricValues[];
}

type Merge = "sum" | "max" | "min";

/** Gauges whose sum over processes says nothing. */
const notSummed: ReadonlyMap<string, Merge> = new Map<string, Merge>([
  [metricList.certificateExpiry.name, "min"],
  [metricList.buildInfo.name, "max"],
  [metricList.eventLoopLag.name, "max"],
  [metricList.clientBreakerState.name, "max"],
  [metricList.discoveryAge.name, "max"],
  [metricList.discoveryStale.name, "max"],
  [metricList.configRestartNeeded.name, "max"],
  [metricList.queueLag.name, "max"],
]);

/** What is of a process, and so of each worker by itself. */
const ofProcess = /^(?:process|nodejs)_/;

/** Metrics of workers as those of one program: sums of counters and histograms, those of workers that are gone too. */
export class MergedMetrics {
  readonly #now = new Map<object, Snapshot>();
  readonly #gone = new Sums();
  /** The greatest lag of a worker since the page was read. */
  readonly #lags = new Map<object, number>();

  /** What a worker says now. @param place its number */
  update(worker: object, place: number, metrics: readonly MetricValues[]): void {
    this.#now.set(worker, { place, metrics });
    const lag = metrics.find(({ name }) => name === metricList.eventLoopLag.name)?.values?.[0]?.value ?? 0;
    this.#lags.set(worker, Math.max(lag, this.#lags.get(worker) ?? 0));
  }

  /** A worker has ended: what only rises stays. */
  ended(worker: object): void {
    const snapshot = this.#now.get(worker);
    this.#now.delete(worker);
    this.#lags.delete(worker);
    if (snapshot === undefined) return;
    for (const metric of snapshot.metrics) {
      if (metric.type !== "gauge") this.#gone.add(metric, snapshot.place);
    }
  }

  /** All metrics, those of `own` first. The greatest lag is counted anew from here on. */
  values(own: readonly MetricValues[]): readonly MetricValues[] {
    const sums = this.#gone.copy();
    for (const [worker, { place, metrics }] of this.#now) {
      for (const metric of metrics) sums.add(this.#withLag(worker, metric), place);
    }
    this.#lags.clear();
    const names = new Set(own.map(({ name }) => name));
    return [...own, ...sums.all.filter(({ name }) => !names.has(name))];
  }

  #withLag(worker: object, metric: MetricValues): MetricValues {
    const value = this.#lags.get(worker);
    if (metric.name !== metricList.eventLoopLag.name || value === undefined) return metric;
    return { ...metric, values: [{ labels: {}, value }] };
  }
}

interface Sum {
  readonly metric: MetricValues;
  readonly values: Map<string, MetricValue>;
}

/** Metrics by their names, with their samples by name and labels. */
class Sums {
  readonly #sums = new Map<string, Sum>();

  /** @param place the worker that it is of */
  add(metric: MetricValues, place: number): void {
    const { name, help, type, values = [] } = metric;
    let sum = this.#sums.get(name);
    if (sum === undefined) this.#sums.set(name, (sum = { metric: { name, help, type }, values: new Map() }));
    const merge = notSummed.get(name) ?? "sum";
    for (const sample of values) {
      const labels = ofProcess.test(name) ? { ...sample.labels, worker: String(place) } : sample.labels;
      const key = keyOf(sample.metricName ?? name, labels);
      const known = sum.values.get(key);
      sum.values.set(
        key,
        known === undefined
          ? { ...sample, labels }
          : merged(known, sample, ofProcess.test(name) && type === "gauge" ? "last" : merge),
      );
    }
  }

  copy(): Sums {
    const copy = new Sums();
    for (const [name, { metric, values }] of this.#sums) {
      copy.#sums.set(name, { metric, values: new Map(values) });
    }
    return copy;
  }

  get all(): readonly MetricValues[] {
    return [...this.#sums.values()].map(({ metric, values }) => ({
      ...metric,
      values: [...values.values()],
    }));
  }
}

/** @param how `last`: of two processes in one place, the younger one counts */
function merged(known: MetricValue, sample: MetricValue, how: Merge | "last"): MetricValue {
  const exemplar = sample.exemplar ?? known.exemplar;
  const value = how === "last" ? sample.value : combine[how](known.value, sample.value);
  return { ...known, value, ...(exemplar === undefined ? {} : { exemplar }) };
}

const combine: Readonly<Record<Merge, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};

function keyOf(name: string, labels: MetricValue["labels"]): string {
  const parts = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `${name}{${parts.sort().join()}}`;
}
