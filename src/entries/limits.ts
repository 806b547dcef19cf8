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
