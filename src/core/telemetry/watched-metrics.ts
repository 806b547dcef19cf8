import type { Counter, Gauge, Registry } from "prom-client";
import { Durations } from "./durations.ts";
import { watchedMetrics, type MetricBooks } from "./metric-books.ts";
import { metricList } from "./metric-list.ts";
import { counter, gauge, histogram } from "./registered-metrics.ts";

/** What features of a program keep themselves. */
export function addWatched(registry: Registry, books: MetricBooks): void {
  for (const key of watchedMetrics) {
    const definition = metricList[key];
    if (definition.type === "histogram") {
      histogram(registry, definition, (name) =>
        [...books.watched(key)].flatMap(({ labels, value }) =>
          value instanceof Durations ? value.samples(name, labels) : [],
        ),
      );
      continue;
    }
    const fill = (metric: Counter | Gauge): void => {
      // A metric without labels has a series of its own from the beginning.
      if (definition.labels.length === 0) metric.remove();
      for (const { labels, value } of books.watched(key)) {
        if (typeof value === "number") metric.inc(labels, value);
      }
    };
    if (definition.type === "counter") counter(registry, definition, fill);
    else gauge(registry, definition, fill);
  }
}
