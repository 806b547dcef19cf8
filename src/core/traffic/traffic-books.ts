/** A count with its labels. */
export interface TrafficCount {
  readonly labels: Readonly<Record<string, string>>;
  count: number;
}

/** Counts of one metric, by their labels. */
export class TrafficCounts {
  readonly #names: readonly string[];
  readonly #counts = new Map<string, TrafficCount>();

  /** @param names of the labels */
  constructor(...names: readonly string[]) {
    this.#names = names;
  }

  /** The count with these values of its labels; it is made at the first time. */
  of(...values: readonly string[]): TrafficCount {
    const key = values.join("\n");
    let count = this.#counts.get(key);
    if (count === undefined) {
      const labels = Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? ""]));
      this.#counts.set(key, (count = { labels, count: 0 }));
    }
    return count;
  }

  /** Those that are not 0. */
  get all(): TrafficCount[] {
    return [...this.#counts.values()].filter(({ count }) => count > 0);
  }
}

/** What splits, mirrors and faults of this process have done; the metrics page reads it. */
export const trafficBooks = {
  splits: new TrafficCounts("rule", "to", "why"),
  mirrors: new TrafficCounts("to", "result"),
  faults: new TrafficCounts("rule", "kind"),
};
