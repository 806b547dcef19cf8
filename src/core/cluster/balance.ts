import { LeastRequest } from "./least-request.ts";
import { P2c } from "./p2c.ts";
import type { Candidate, Picker } from "./picker.ts";
import { RandomPick } from "./random-pick.ts";
import { Stride } from "./stride.ts";

/** How the endpoint of each attempt is chosen, with what that needs. */
export interface Balance {
  readonly policy: BalancePolicy;
  /** `least_request`: of how many endpoints the least loaded is taken, 2 to 10. Default: 2. */
  readonly choices?: number;
}

/** How the endpoint of each attempt is chosen. */
export type BalancePolicy = "p2c" | "round_robin" | "random" | "least_request" | "pick_first";

/** The picker of a policy; undefined for `pick_first`, which has one endpoint at a time. */
export function pickerOf<C extends Candidate>(
  { policy, choices = 2 }: Balance,
  random: () => number,
): Picker<C> | undefined {
  switch (policy) {
    case "p2c":
      return new P2c<C>(random);
    case "round_robin":
      return new Stride<C>(random);
    case "random":
      return new RandomPick<C>(random);
    case "least_request":
      return new LeastRequest<C>(random, choices);
    case "pick_first":
      return undefined;
  }
}
