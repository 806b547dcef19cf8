import { createContextKey, type ContextKey } from "@connectrpc/connect";
import type { BoundLimit, Part } from "./bound-limit.ts";
import type { Left } from "./headers.ts";

/** What a limit has counted of a call. */
interface Counted {
  readonly bound: BoundLimit;
  readonly part: Part;
  readonly high: number;
  readonly low: number;
  readonly taken: number;
}

/** What the limits before the authentication have counted of a call, for those behind it. */
export class Taken {
  /** What is left of the limits. */
  readonly left: readonly Left[];
  readonly #counted: readonly Counted[];
  readonly #giveBackStored: (() => void) | undefined;

  /** @param giveBackStored gives back what the store has counted */
  constructor(
    counted: readonly BoundLimit[],
    shown: readonly BoundLimit[],
    giveBackStored: (() => void) | undefined,
  ) {
    // The bound limits are of another call soon.
    this.left = shown.map(({ name, policy, item, headers, quota, remaining, resetMs }) => {
      return { name, policy, item, headers, quota, remaining, resetMs };
    });
    this.#counted = counted.map((bound) => {
      const { part, high, low, taken } = bound;
      return { bound, part, high, low, taken };
    });
    this.#giveBackStored = giveBackStored;
  }

  /** Another limit has refused the call: it takes nothing. */
  giveBack(): void {
    this.#giveBackStored?.();
    for (const { bound, part, high, low, taken } of this.#counted) {
      const { limit, cost } = bound;
      if (limit.kind !== "rate") continue; // An open call is over with its end.
      limit.counts.allowed--;
      if (part === "lease") {
        limit.stored?.leases?.giveBack(high, low, cost);
      } else if (part === "local") {
        const entry = limit.table.find(high, low);
        if (entry >= 0) limit.rule.giveBack(limit.table, entry, cost, taken);
      }
    }
  }
}

/** Context value that holds what the limits before the authentication have counted. */
export const takenKey: ContextKey<Taken | undefined> = createContextKey<Taken | undefined>(undefined, {
  description: "what limits have counted of the call",
});
