import { Durations } from "../core/telemetry/durations.ts";
import type { DeadReason } from "./outcome.ts";

/** What has become of a message that was settled. */
export type SettledAs = "ok" | "retry" | "dead" | "drop" | "skip" | "duplicate" | "expired";

/** Why a message was given back to the broker. */
export type ReleasedFor = "drain" | "breaker" | "gate" | "lost" | "timeout";

/** What a subscription has done since it was made. */
export class SubscriptionCounts {
  received = 0;
  readonly settled = new Map<SettledAs, number>();
  readonly released = new Map<ReleasedFor, number>();
  readonly dead = new Map<DeadReason, number>();
  /** From the time of the event to the begin of its first run, in seconds. */
  readonly ages = new Durations();

  settle(as: SettledAs): void {
    add(this.settled, as);
  }

  release(why: ReleasedFor): void {
    add(this.released, why);
  }

  die(reason: DeadReason): void {
    add(this.dead, reason);
  }
}

function add<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
