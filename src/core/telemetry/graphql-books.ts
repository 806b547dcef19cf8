import { Durations } from "./durations.ts";
import type { GraphqlCounts, Tally } from "./metric-books.ts";

/** What happens to operations of GraphQL, as `GraphqlEvent` of the gateway says it. */
export type CountedOperation =
  | { readonly kind: "operation"; readonly type: string; readonly outcome: string; readonly seconds: number }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "batch"; readonly keys: number };

/** Upper bounds of the histogram of keys. */
const keyBuckets: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/** Counts of GraphQL. */
export class GraphqlBooks implements GraphqlCounts {
  readonly operations = new Map<string, Tally>();
  readonly refused = new Map<string, Tally>();
  readonly durations = new Map<string, Durations>();
  readonly keys = new Durations(keyBuckets);

  count(event: CountedOperation): void {
    if (event.kind === "batch") {
      this.keys.observe(event.keys);
      return;
    }
    if (event.kind === "refused") {
      tally(this.refused, event.reason, { reason: event.reason });
      return;
    }
    const { type, outcome, seconds } = event;
    tally(this.operations, `${type} ${outcome}`, { type, outcome });
    let durations = this.durations.get(type);
    if (durations === undefined) this.durations.set(type, (durations = new Durations()));
    durations.observe(seconds);
  }
}

function tally(tallies: Map<string, Tally>, key: string, labels: Tally["labels"]): void {
  const known = tallies.get(key);
  if (known === undefined) tallies.set(key, { labels, count: 1 });
  else known.count++;
}
