import type { WatchedValue } from "../core/telemetry/metric-books.ts";
import type { Leadership, MetricsPage } from "./store.ts";

/** How often the store is asked for what waits, at most, in milliseconds. */
const measureMs = 10_000;

/** What became of rows. */
export type RelayResult = "confirmed" | "refused" | "unavailable" | "dead";

/** What waits in the store, as it was at a time of the clock. */
interface Measured {
  readonly pending: number;
  readonly oldestMs: number;
  readonly atMs: number;
}

/** The figures of a relay. */
export class RelayCounts {
  readonly #relayed = new Map<RelayResult, number>();
  readonly #nowMs: () => number;
  #leadership: Leadership | undefined;
  #measured: Measured | undefined;
  #askedMs = -Infinity;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The relay leads, or leads no more. */
  leads(leadership: Leadership | undefined): void {
    this.#leadership = leadership;
    this.#measured = undefined;
    this.#askedMs = -Infinity;
    if (leadership !== undefined) this.#measure(leadership);
  }

  /** So many rows had this result. */
  relayed(result: RelayResult, rows: number): void {
    if (rows > 0) this.#relayed.set(result, (this.#relayed.get(result) ?? 0) + rows);
  }

  watch(metrics: MetricsPage): () => void {
    const watched = [
      metrics.watch("outboxLeader", () => [one(this.#leadership === undefined ? 0 : 1)]),
      metrics.watch("outboxRelayed", () =>
        [...this.#relayed].map(([result, value]) => ({ labels: { result }, value })),
      ),
      metrics.watch("outboxPending", () => this.#waiting(({ pending }) => pending)),
      metrics.watch("outboxOldest", () =>
        this.#waiting(({ pending, oldestMs, atMs }) =>
          pending === 0 ? 0 : (oldestMs + this.#nowMs() - atMs) / 1_000,
        ),
      ),
    ];
    return () => {
      for (const end of watched) end();
    };
  }

  /** The last figures of the store. Those for the next page are asked for now. */
  #waiting(value: (measured: Measured) => number): WatchedValue[] {
    const measured = this.#measured;
    if (this.#leadership !== undefined) this.#measure(this.#leadership);
    return measured === undefined ? [] : [one(value(measured))];
  }

  #measure(leadership: Leadership): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#askedMs < measureMs) return;
    this.#askedMs = nowMs;
    leadership.measure().then(
      (measured) => {
        if (this.#leadership === leadership) this.#measured = { ...measured, atMs: this.#nowMs() };
      },
      () => {}, // The relay finds out by itself.
    );
  }
}

function one(value: number): WatchedValue {
  return { labels: {}, value };
}
