import type { ReadWatched, WatchedMetric, WatchedValue } from "../core/telemetry/metric-books.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Subscription } from "./subscription.ts";

/** A page of metrics, such as `Metrics` of `ts-ms/telemetry`. */
export interface MetricsPage {
  /** Adds a source of values. @returns a function that takes it away */
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

type Values = (subscription: Subscription) => Iterable<WatchedValue>;

/** How old figures of lag may be, in milliseconds. */
const lagMs = 10_000;

/** The figures of subscriptions as metrics. Brokers are asked for lag only while the page is read. */
export class SubscriptionMetrics {
  readonly #subscriptions: () => readonly Subscription[];
  readonly #clock: Clock;
  readonly #lags = new WeakMap<Subscription, ReadonlyMap<number, number>>();
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(subscriptions: () => readonly Subscription[], clock: Clock) {
    this.#subscriptions = subscriptions;
    this.#clock = clock;
  }

  /** Adds the figures to a page. @returns a function that takes them from there */
  watch(metrics: MetricsPage): () => void {
    const watched: readonly (readonly [WatchedMetric, Values])[] = [
      ["queueReceived", ({ counts }) => [{ labels: {}, value: counts.received }]],
      ["queueSettled", ({ counts }) => valuesOf("outcome", counts.settled)],
      ["queueReleased", ({ counts }) => valuesOf("reason", counts.released)],
      ["queueDead", ({ counts }) => valuesOf("reason", counts.dead)],
      ["queueAge", ({ counts }) => [{ labels: {}, value: counts.ages }]],
      ["queueInFlight", ({ inFlight }) => [{ labels: {}, value: inFlight }]],
      ["queueBuffered", ({ buffered }) => [{ labels: {}, value: buffered }]],
      ["queueBufferedBytes", ({ bufferedBytes }) => [{ labels: {}, value: bufferedBytes }]],
      ["queueLanesHeld", ({ lanesHeld }) => [{ labels: {}, value: lanesHeld }]],
      ["queuePaused", ({ pauses }) => [...pauses].map((reason) => ({ labels: { reason }, value: 1 }))],
      ["queueMovesFailing", ({ moves }) => [{ labels: {}, value: moves.failing }]],
      ["queueLag", (subscription) => valuesOf("partition", this.#lags.get(subscription) ?? new Map())],
    ];
    const ends = watched.map(([metric, values]) => metrics.watch(metric, () => this.#read(metric, values)));
    return () => {
      for (const end of ends) end();
    };
  }

  *#read(metric: WatchedMetric, values: Values): Generator<WatchedValue> {
    if (metric === "queueLag") this.#askLag();
    for (const subscription of this.#subscriptions()) {
      const { topic, group } = subscription.plan;
      for (const { labels, value } of values(subscription))
        yield { labels: { topic, group, ...labels }, value };
    }
  }

  /** Asks brokers, unless that was done a short while ago; the answers are those of the next reading. */
  #askLag(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#askedMs < lagMs) return;
    this.#askedMs = nowMs;
    for (const subscription of this.#subscriptions()) {
      subscription.lag().then(
        (lag) => this.#lags.set(subscription, lag),
        () => this.#lags.delete(subscription), // The broker is away: nothing is known.
      );
    }
  }
}

function valuesOf(label: string, counts: ReadonlyMap<string | number, number>): WatchedValue[] {
  return [...counts].map(([name, value]) => ({ labels: { [label]: String(name) }, value }));
}
