import type { Ordering } from "./consume-settings.ts";
import type { DeadReason } from "./outcome.ts";
import type { PauseReason, Subscription } from "./subscription.ts";
import type { ReleasedFor, SettledAs } from "./subscription-counts.ts";

/** What a subscription is doing, and has done since it was made. */
export interface SubscriptionStatistics {
  readonly topic: string;
  readonly group: string;
  /** The rpcs, `package.Service/Method`, by the types that they take. */
  readonly rpcs: Readonly<Record<string, string>>;
  readonly ordering: Ordering;
  /** Whether messages come from the broker. */
  readonly isConnected: boolean;
  /** Why nothing is run, or fetched, now; none while everything is. */
  readonly pauses: readonly PauseReason[];
  /** State of its breaker; undefined without one. */
  readonly breaker: "closed" | "open" | "half-open" | undefined;
  /** Runs under way. */
  readonly inFlight: number;
  /** Messages that wait here, and their bytes. */
  readonly buffered: number;
  readonly bufferedBytes: number;
  /** Lanes that wait for the next attempt of a message. */
  readonly lanesHeld: number;
  /** Moves to a retry or dead-letter queue whose last try has failed. */
  readonly movesFailing: number;
  readonly received: number;
  readonly settled: Readonly<Partial<Record<SettledAs, number>>>;
  readonly released: Readonly<Partial<Record<ReleasedFor, number>>>;
  readonly dead: Readonly<Partial<Record<DeadReason, number>>>;
}

/** The statistics of a subscription. */
export function statisticsOf(subscription: Subscription): SubscriptionStatistics {
  const { plan, counts, moves, inFlight, buffered, bufferedBytes, lanesHeld, isConnected } = subscription;
  const { settled, released, dead, received } = counts;
  return {
    topic: plan.topic,
    group: plan.group,
    rpcs: Object.fromEntries([...plan.rpcs.keys()].map(({ type, name }) => [type, name])),
    ordering: plan.ordering,
    isConnected,
    pauses: [...subscription.pauses],
    breaker: subscription.breaker?.kind,
    inFlight,
    buffered,
    bufferedBytes,
    lanesHeld,
    movesFailing: moves.failing,
    received,
    settled: Object.fromEntries(settled),
    released: Object.fromEntries(released),
    dead: Object.fromEntries(dead),
  };
}
