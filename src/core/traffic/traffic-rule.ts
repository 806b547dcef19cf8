import type { FaultInit } from "./fault-options.ts";
import type { MirrorOptions } from "./mirror.ts";
import type { SplitSide, WhenTest } from "./split.ts";
import type { StickyInit } from "./sticky.ts";

/** What becomes of the calls of some rpcs of a gateway; upstreams are given by their names. */
export interface TrafficRule {
  /**
   * The rpcs: `package.Service/Method`, `package.Service/*`, `package.*` or `*`, several with commas. The first rule
   * that has an rpc is the one for it.
   */
  readonly selector: string;
  /** Divides the calls among upstreams. Default: they go to the upstream that has the service. */
  readonly split?: readonly SplitSide<string>[];
  /** Tests of the caller's request, before the weights of `split`. */
  readonly when?: readonly WhenTest<string>[];
  /** Keeps callers on their side of `split`. */
  readonly sticky?: StickyInit;
  /** Whether calls of a side that cannot be reached go to the first side. Default: true. */
  readonly fallback?: boolean;
  /** Copies calls to another upstream. */
  readonly mirror?: MirrorRule;
  /** Delays and errors for some of the calls. */
  readonly faults?: readonly FaultInit[];
}

/** Copies calls to an upstream. */
export interface MirrorRule extends Partial<Omit<MirrorOptions, "name" | "random">> {
  readonly to: string;
}

/** Members of a rule, for errors. */
export const ruleMembers: Readonly<Record<keyof TrafficRule, true>> = Object.freeze({
  selector: true,
  split: true,
  when: true,
  sticky: true,
  fallback: true,
  mirror: true,
  faults: true,
});
