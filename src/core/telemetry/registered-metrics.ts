import { Counter, Gauge, type Histogram, type Registry } from "prom-client";
import type { Sample } from "./durations.ts";
import type { MetricDefinition } from "./metric-list.ts";

/** A counter that is reset and filled by `fill` whenever the page is read. */
export function counter(
  registry: Registry,
  definition: MetricDefinition,
  fill: (metric: Counter) => void,
): void {
  const metric: Counter = new Counter({
    ...configuration(registry, definition),
    collect: () => {
      metric.reset();
      fill(metric);
    },
  });
}

/** As `counter`, for a value that also falls. */
export function gauge(registry: Registry, definition: MetricDefinition, fill: (metric: Gauge) => void): void {
  const metric: Gauge = new Gauge({
    ...configuration(registry, definition),
    collect: () => {
      metric.reset();
      fill(metric);
    },
  });
}

/** A histogram whose samples are read whenever the page is. */
export function histogram(
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
