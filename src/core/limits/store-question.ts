import type { CallHead } from "../admission/call-head.ts";
import type { BoundLimit } from "./bound-limit.ts";
import { storedKey } from "./key.ts";
import type { Leases } from "./leases.ts";
import type { Limit, StoredPart } from "./limit.ts";
import type { StoreRequest } from "./store.ts";

/** What the store is asked for a call. */
export interface StoreQuestion {
  readonly bound: BoundLimit;
  readonly stored: StoredPart;
  readonly request: StoreRequest;
}

/** The batch that a call needs. */
export interface BatchQuestion {
  readonly bound: BoundLimit;
  readonly leases: Leases;
  /** Makes the key in Redis. */
  readonly key: () => string;
  /** The hash of the key, in two halves. */
  readonly high: number;
  readonly low: number;
  /** What the call takes. */
  readonly least: number;
}

/** What is asked about a call. */
export function questionOf(bound: BoundLimit, call: CallHead): StoreQuestion {
  const { limit, cost } = bound;
  const stored = storedPartOf(limit);
  const key = keyOf(limit, stored, call);
  return {
    bound,
    stored,
    request: { key, rule: stored.rule, least: cost, want: cost, shadow: limit.isShadow },
  };
}

/** The batch that a call needs of a limit that has batches. */
export function batchOf(bound: BoundLimit, call: CallHead): BatchQuestion {
  const { limit, high, low, cost: least } = bound;
  const stored = storedPartOf(limit);
  const { leases } = stored;
  if (leases === undefined) throw new Error(`the limit ${limit.name} has no batches`);
  return { bound, leases, key: () => keyOf(limit, stored, call), high, low, least };
}

function storedPartOf(limit: Limit): StoredPart {
  if (limit.kind === "rate" && limit.stored !== undefined) return limit.stored;
  throw new Error(`the limit ${limit.name} has no store`);
}

/** The key of a call in Redis. */
export function keyOf({ name, key }: Limit, { store }: StoredPart, call: CallHead): string {
  return store.keyOf(
    name,
    storedKey((sink) => key.write(call, sink)),
  );
}
