import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { ReadWatched, WatchedMetric } from "../core/telemetry/metric-books.ts";
import type { AttemptEnd, TargetKind } from "./target.ts";

/** What adds metrics to a page: `Metrics` of `ts-ms/telemetry`. */
export interface MetricsPage {
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

/** The figures of a dispatcher. */
export class DispatchCounts {
  readonly #deliveries = new Map<string, { readonly labels: Record<string, string>; value: number }>();
  #matched = 0;
  #filterErrors = 0;

  /** An event has matched so many subscriptions. */
  matched(count: number): void {
    this.#matched += count;
  }

  /** A condition could not be computed. */
  filterError(): void {
    this.#filterErrors++;
  }

  /** A try has ended. */
  delivered(target: TargetKind, outcome: AttemptEnd["kind"]): void {
    const key = `${target} ${outcome}`;
    const count = this.#deliveries.get(key) ?? { labels: { target, outcome }, value: 0 };
    this.#deliveries.set(key, count);
    count.value++;
  }

  watch(metrics: MetricsPage, states: () => Iterable<State>): () => void {
    const watched = [
      metrics.watch("dispatchMatched", () => [{ labels: {}, value: this.#matched }]),
      metrics.watch("dispatchDeliveries", () => [...this.#deliveries.values()]),
      metrics.watch("dispatchFilterErrors", () => [{ labels: {}, value: this.#filterErrors }]),
      metrics.watch("dispatchSubscriptions", () => {
        const counts = { active: 0, paused: 0, disabled: 0, faulty: 0 };
        for (const state of states()) counts[stateName(state)]++;
        return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
      }),
    ];
    return () => {
      for (const end of watched) end();
    };
  }
}

/** The name of a state in metrics and logs. */
export function stateName(state: State): "active" | "paused" | "disabled" | "faulty" {
  switch (state) {
    case State.PAUSED:
      return "paused";
    case State.DISABLED:
      return "disabled";
    case State.FAULTY:
      return "faulty";
    default:
      return "active";
  }
}
