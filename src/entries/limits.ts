/** `ts-ms/limits`: limits of calls, by time and of open calls, and overload control. */

export {
  Limiter,
  type LimitDecisions,
  type LimiterParts,
  type LimitsInit,
  type LimitUsage,
} from "../core/limits/limiter.ts";
export {
  limitDefaults,
  type LimitHeaders,
  type LimitInit,
  type LimitOptions,
  type OnStoreFailure,
} from "../core/limits/limit-options.ts";
export type { LimitCounts } from "../core/limits/limit.ts";
export type { LimitClocks } from "../core/limits/rate-rule.ts";
export {
  Overload,
  type OverloadParts,
  type OverloadState,
  type ShedCount,
  type ShedReason,
} from "../core/overload/overload.ts";
export { overloadDefaults, type OverloadOptions } from "../core/overload/overload-options.ts";
export type { Criticality } from "../core/overload/fair-share.ts";
export {
  ConnectionLimit,
  connectionLimitDefaults,
  type ConnectionLimitOptions,
} from "../core/net/connection-limit.ts";
