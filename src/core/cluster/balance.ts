import { FirstPick } from "./first-pick.ts";
import type { HashKeySource } from "./hash-key.ts";
import { HashRing, type RingCandidate } from "./hash-ring.ts";
import { LeastRequest } from "./least-request.ts";
import { P2c } from "./p2c.ts";
import type { Picker } from "./picker.ts";
import { RandomPick } from "./random-pick.ts";
import type { PlacedCandidate } from "./spread.ts";
import { Stride } from "./stride.ts";

/** How the endpoint of each attempt is chosen, with what that needs. */
export interface Balance extends Partial<HashKeySource> {
  readonly policy: BalancePolicy;
  /** `least_request`: of how many endpoints the least loaded is taken, 2 to 10. Default: 2. */
  readonly choices?: number;
  /**
   * `hash`: how many calls in flight an endpoint may have, relative to the mean of all, before keys of it go to the next
   * one: 1 or more. Default: 1.25.
   */
  readonly boundedLoad?: number;
}

/** How the endpoint of each attempt is chosen. */
export type BalancePolicy = "p2c" | "round_robin" | "random" | "least_request" | "pick_first" | "hash";

/** What pickers need beside candidates. */
export interface PickerParts {
  /** Returns numbers from 0 to 1, without 1. */
  readonly random: () => number;
  /** The mean number of calls in flight of all candidates, with the one to be picked. */
  readonly meanInFlight: () => number;
}

/** An endpoint as all pickers see it. */
export type EndpointCandidate = RingCandidate & PlacedCandidate;

/** The picker of a policy. */
export function pickerOf<C extends EndpointCandidate>(
  { policy, choices = 2, boundedLoad = 1.25 }: Balance,
  { random, meanInFlight }: PickerParts,
): Picker<C> {
  switch (policy) {
    case "p2c":
      return new P2c<C>(random);
    case "round_robin":
      return new Stride<C>(random);
    case "random":
      return new RandomPick<C>(random);
    case "least_request":
      return new LeastRequest<C>(random, choices);
    case "hash":
      return new HashRing<C>({ random, boundedLoad, meanInFlight });
    case "pick_first":
      return new FirstPick<C>();
  }
}
