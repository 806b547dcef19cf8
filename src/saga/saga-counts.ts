import type { ReadWatched, WatchedMetric, WatchedValue } from "../core/telemetry/metric-books.ts";

/** How often the database is asked for what is stuck, at most, in milliseconds. */
const measureMs = 10_000;

/** What adds metrics to a page: `Metrics` of `ts-ms/telemetry`. */
export interface MetricsPage {
  watch(metric: WatchedMetric, read: ReadWatched): () => void;
}

/** What the figures of sagas are read from. */
export interface CountedSagas {
  /** Names of the open sagas that this process runs, one for each. */
  open(): Iterable<string>;
  /** How many are stuck, by name. */
  stuck(): Promise<ReadonlyMap<string, number>>;
  nowMs(): number;
}

/** The figures of sagas. */
export class SagaCounts {
  readonly #begun = new Map<string, number>();
  readonly #ended = new Map<string, Map<"done" | "undone", number>>();
  readonly #undone = new Map<string, Map<string, number>>();
  readonly #source: CountedSagas;
  #stuck: ReadonlyMap<string, number> = new Map();
  #askedMs = -Infinity;

  constructor(source: CountedSagas) {
    this.#source = source;
  }

  begun(saga: string): void {
    this.#begun.set(saga, (this.#begun.get(saga) ?? 0) + 1);
  }

  ended(saga: string, outcome: "done" | "undone"): void {
    count(this.#ended, saga, outcome);
  }

  undone(saga: string, step: string): void {
    count(this.#undone, saga, step);
  }

  watch(metrics: MetricsPage): () => void {
    const watched = [
      metrics.watch("sagaBegun", () => single(this.#begun)),
      metrics.watch("sagaEnded", () => pairs(this.#ended, "outcome")),
      metrics.watch("sagaUndone", () => pairs(this.#undone, "step")),
      metrics.watch("sagaOpen", () => {
        const open = new Map<string, number>();
        for (const saga of this.#source.open()) open.set(saga, (open.get(saga) ?? 0) + 1);
        return single(open);
      }),
      metrics.watch("sagaStuck", () => {
        this.#measure();
        return single(this.#stuck);
      }),
    ];
    return () => {
      for (const end of watched) end();
    };
  }

  /** Asks for the figures of the next page. */
  #measure(): void {
    const nowMs = this.#source.nowMs();
    if (nowMs - this.#askedMs < measureMs) return;
    this.#askedMs = nowMs;
    this.#source.stuck().then(
      (stuck) => (this.#stuck = stuck),
      () => {}, // The figures stay those of the last time.
    );
  }
}

function count<K extends string>(counts: Map<string, Map<K, number>>, saga: string, key: K): void {
  const of = counts.get(saga) ?? new Map<K, number>();
  counts.set(saga, of);
  of.set(key, (of.get(key) ?? 0) + 1);
}

function single(counts: ReadonlyMap<string, number>): WatchedValue[] {
  return [...counts].map(([saga, value]) => ({ labels: { saga }, value }));
}

function pairs(counts: ReadonlyMap<string, ReadonlyMap<string, number>>, label: string): WatchedValue[] {
  return [...counts].flatMap(([saga, of]) =>
    [...of].map(([key, value]) => ({ labels: { saga, [label]: key }, value })),
  );
}
