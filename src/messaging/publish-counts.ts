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

const publishResults = ["confirmed", "refused", "returned", "timeout", "unavailable"] as const;

/** What became of a message that was published. */
export type PublishResult = (typeof publishResults)[number];

/** What is counted of one topic. */
interface TopicCounts extends Record<PublishResult, number> {
  readonly topic: string;
  readonly took: Durations;
}

const noResults = { confirmed: 0, refused: 0, returned: 0, timeout: 0, unavailable: 0 };

/** Counts what is published to one broker, by all publishers of this process. */
export class PublishCounts {
  /** Messages that are sent and not confirmed. */
  inFlight = 0;
  /** Messages that wait for a place. */
  waiting = 0;
  readonly #topics = new Map<string, TopicCounts>();
  /** Of the topic that was counted last: mostly it is the next one, too. */
  #last: TopicCounts | undefined;

  /** @param ms how long it took */
  ended(topic: string, result: PublishResult, ms: number): void {
    const counts = this.#last?.topic === topic ? this.#last : this.#of(topic);
    counts[result]++;
    counts.took.observe(ms / 1_000);
  }

  #of(topic: string): TopicCounts {
    let counts = this.#topics.get(topic);
    if (counts === undefined) {
      counts = { topic, took: new Durations(), ...noResults };
      this.#topics.set(topic, counts);
    }
    this.#last = counts;
    return counts;
  }

  /** Adds what is counted to a page of metrics. @returns a function that takes it from there */
  watch(metrics: MessagingMetrics): () => void {
    const watched = [
      metrics.watch("queuePublished", () =>
        [...this.#topics.values()].flatMap((counts) =>
          publishResults
            .filter((result) => counts[result] > 0)
            .map((result) => ({ labels: { topic: counts.topic, result }, value: counts[result] })),
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
