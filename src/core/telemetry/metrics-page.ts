import { collectDefaultMetrics, Counter, Gauge, Registry, type Histogram } from "prom-client";
import { codeName } from "../errors/code-name.ts";
import type { Sample } from "./durations.ts";
import type { MetricBooks, Tally } from "./metric-books.ts";
import { metricList, type MetricDefinition } from "./metric-list.ts";

/**
 * A registry of prom-client that reads its values from `books` whenever the page is read; with `processMetrics` it has
 * metrics of the process too.
 */
export function metricsPage(books: MetricBooks, processMetrics: boolean): Registry {
  const registry = new Registry();
  counter(registry, metricList.callsStarted, (metric) => {
    for (const { labels, started } of books.calls()) metric.inc(labels, started);
  });
  counter(registry, metricList.callsFinished, (metric) => {
    for (const { labels, finished, ownCodes } of books.calls()) {
      for (const [code, count] of [...finished.entries(), ...ownCodes]) {
        if (count > 0) metric.inc({ ...labels, code: codeName(code) }, count);
      }
    }
  });
  inFlight(registry, books);
  histogram(registry, metricList.callDuration, (name) =>
    books
      .calls()
      .filter(({ ended }) => ended > 0) // An empty histogram is left out.
      .flatMap(({ labels, durations }) => durations.samples(name, labels)),
  );
  counter(registry, metricList.callFaults, (metric) => {
    for (const { labels, faults } of books.calls()) metric.inc(labels, faults);
  });
  counter(registry, metricList.processFaults, (metric) => addTallies(metric, books.processFaults));
  counter(registry, metricList.httpRequests, (metric) => {
    for (const { labels, byStatus } of books.http()) {
      for (const [status, count] of byStatus) metric.inc({ ...labels, status }, count);
    }
  });
  histogram(registry, metricList.httpDuration, (name) =>
    books.http().flatMap(({ labels, durations }) => durations.samples(name, labels)),
  );
  counter(registry, metricList.http1Requests, (metric) => {
    const { fast, node } = books.http1;
    if (fast + node === 0) return; // Without HTTP there are no lanes.
    metric.inc({ lane: "fast" }, fast);
    metric.inc({ lane: "node" }, node);
  });
  counter(registry, metricList.ignoredUnknown, (metric) => addTallies(metric, books.ignored));
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return registry;
}

/** A counter that is reset and filled by `fill` whenever the page is read. */
function counter(registry: Registry, definition: MetricDefinition, fill: (metric: Counter) => void): void {
  const metric: Counter = new Counter({
    ...configuration(registry, definition),
    collect: () => {
      metric.reset();
      fill(metric);
    },
  });
}

function inFlight(registry: Registry, books: MetricBooks): void {
  const gauge: Gauge = new Gauge({
    ...configuration(registry, metricList.callsInFlight),
    collect: () => {
      gauge.reset();
      for (const { labels, started, ended } of books.calls()) gauge.inc(labels, started - ended);
    },
  });
}

function histogram(
  registry: Registry,
  { name, type, help }: MetricDefinition,
  samples: (name: string) => Sample[],
): void {
  const get = async () => ({ name, help, type, values: samples(name) });
  // A registry only uses the name and `get` of a metric. prom-client's own histogram could not take our counts.
  registry.registerMetric({ name, help, type, get } as unknown as Histogram);
}

function configuration(registry: Registry, { name, help, labels }: MetricDefinition) {
  return { name, help, labelNames: [...labels], registers: [registry] };
}

function addTallies(metric: Counter, tallies: ReadonlyMap<string, Tally>): void {
  for (const { labels, count } of tallies.values()) metric.inc({ ...labels }, count);
}
