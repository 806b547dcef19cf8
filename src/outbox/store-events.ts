import type { InboxKey } from "../messaging/inbox.ts";
import type { MetricsPage } from "./store.ts";

/** What happens in a store: rows that were committed, and messages that were done before. */
export class StoreEvents {
  readonly #listeners = new Set<() => void>();
  readonly #duplicates = new Map<string, number>();

  onRows(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Rows were committed. */
  rows(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Counts messages that were done before. */
  duplicates(keys: readonly InboxKey[]): void {
    for (const { group } of keys) this.#duplicates.set(group, (this.#duplicates.get(group) ?? 0) + 1);
  }

  watch(metrics: MetricsPage): () => void {
    return metrics.watch("inboxDuplicates", () =>
      [...this.#duplicates].map(([group, value]) => ({ labels: { group }, value })),
    );
  }
}
