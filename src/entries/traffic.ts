/** `ts-ms/traffic`: transports around transports, which choose, divide, copy and disturb calls. */

export { route } from "../core/traffic/route.ts";
export { split, type SplitOptions, type SplitSide, type WhenTest } from "../core/traffic/split.ts";
export type { StickyInit } from "../core/traffic/sticky.ts";
export type { RequestTest } from "../core/traffic/matcher.ts";
export { mirror, type CompareOutcomes, type MirrorOptions } from "../core/traffic/mirror.ts";
export type { Outcome } from "../core/traffic/outcome.ts";
export { faults, type FaultsOptions } from "../core/traffic/faults.ts";
export type { FaultInit } from "../core/traffic/fault-options.ts";
export type { MirrorRule, TrafficRule } from "../core/traffic/traffic-rule.ts";
