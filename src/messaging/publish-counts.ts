import { Code, type ConnectError } from "../core/errors/errors.ts";
import { retryAfterMsOf } from "../core/errors/retry-info.ts";
import { Durations } from "../core/telemetry/durations.ts";
import type { ReadWatched, WatchedMetric } from "../core/telemetry/metric-books.ts";
import type { Broker } from "./broker.ts";
import { isReturned } from "./publish-outcome.ts";

/** A page of metrics, as an exporter's `metrics` is one. */
export interface MessagingMetrics {
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

/** What became of a message that was published. */
export type PublishResult = "confirmed" | "refused" | "returned" | "timeout" | "unavailable";

/** Counts what is published to one broker, by all publishers of this process. */
export class PublishCounts {
  /** Messages that are sent and not confirmed. */
  inFlight = 0;
  /** Messages that wait for a place. */
  waiting = 0;
  readonly #topics = new Map<
    string,
    { readonly results: Map<PublishResult, number>; readonly took: Durations }
  >();

  /** @param ms how long it took */
  ended(topic: string, result: PublishResult, ms: number): void {
    let counts = this.#topics.get(topic);
    if (counts === undefined)
      this.#topics.set(topic, (counts = { results: new Map(), took: new Durations() }));
    counts.results.set(result, (counts.results.get(result) ?? 0) + 1);
    counts.took.observe(ms / 1_000);
  }

  /** Adds what is counted to a page of metrics. @returns a function that takes it from there */
  watch(metrics: MessagingMetrics): () => void {
    const watched = [
      metrics.watch("queuePublished", () =>
        [...this.#topics].flatMap(([topic, { results }]) =>
          [...results].map(([result, value]) => ({ labels: { topic, result }, value })),
        ),
      ),
      metrics.watch("queuePublishSeconds", () =>
        [...this.#topics].map(([topic, { took }]) => ({ labels: { topic }, value: took })),
      ),
      metrics.watch("queuePublishing", () => [
        { labels: { state: "in_flight" }, value: this.inFlight },
        { labels: { state: "waiting" }, value: this.waiting },
      ]),
    ];
    return () => watched.forEach((end) => end());
  }
}

const counts = new WeakMap<Broker, PublishCounts>();

/** The counts of a broker. */
export function publishCountsOf(broker: Broker): PublishCounts {
  let known = counts.get(broker);
  if (known === undefined) counts.set(broker, (known = new PublishCounts()));
  return known;
}

/**
 * Adds the metrics of what this process publishes to a broker to a page: `ts_ms_queue_published_total`,
 * `ts_ms_queue_publish_seconds`, `ts_ms_queue_publishing`, and those of its connections, `ts_ms_broker_connected`,
 * `ts_ms_broker_blocked`, `ts_ms_broker_reconnects_total`.
 *
 * @param metrics such as `exporter.metrics`
 * @returns a function that takes them from it
 */
export function watchPublishing(metrics: MessagingMetrics, broker: Broker): () => void {
  const labels = { broker: broker.name };
  const watched = [
    publishCountsOf(broker).watch(metrics),
    metrics.watch("brokerConnected", () => [{ labels, value: Number(broker.connection.connected) }]),
    metrics.watch("brokerBlocked", () => [{ labels, value: Number(broker.connection.blocked) }]),
    metrics.watch("brokerReconnects", () => [{ labels, value: broker.connection.reconnects }]),
  ];
  return () => watched.forEach((end) => end());
}

/**
 * The result of a message that was not confirmed; undefined for one that its caller has taken back.
 *
 * @param isOver whether its time-out has passed
 */
export function resultOf(error: ConnectError, isOver: boolean): PublishResult | undefined {
  if (isOver || error.code === Code.DeadlineExceeded) return "timeout";
  if (error.code === Code.Canceled) return undefined;
  if (error.code !== Code.Unavailable) return "refused";
  if (isReturned(error)) return "returned";
  return retryAfterMsOf(error) === undefined ? "unavailable" : "refused";
}
