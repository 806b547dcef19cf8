import type { MetricsPage } from "../connections/statistics.ts";
import type { Kind } from "./presence-events.ts";

/** Counts who is in rooms, and what is told of it, by topic. */
export class PresenceCounts {
  readonly #present = new Map<string, number>();
  readonly #told = new Map<string, Map<Kind, number>>();

  /** Members of rooms have come, or have left. @param count fewer where it is negative */
  present(topic: string, count: number): void {
    this.#present.set(topic, (this.#present.get(topic) ?? 0) + count);
  }

  /** An event was made, for all watchers of a room. */
  told(topic: string, kind: Kind): void {
    const kinds = this.#told.get(topic) ?? new Map<Kind, number>();
    this.#told.set(topic, kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  }

  /** Adds what is counted to a page of metrics. @returns functions that take it from there */
  watch(metrics: MetricsPage): (() => void)[] {
    return [
      metrics.watch("hubPresent", () =>
        [...this.#present].map(([topic, value]) => ({ labels: { topic }, value })),
      ),
      metrics.watch("hubPresenceEvents", () =>
        [...this.#told].flatMap(([topic, kinds]) =>
          [...kinds].map(([kind, value]) => ({ labels: { topic, kind }, value })),
        ),
      ),
    ];
  }
}
