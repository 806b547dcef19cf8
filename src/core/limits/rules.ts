import { BucketRule } from "./bucket.ts";
import type { Rate } from "../config/rate-text.ts";
import type { LimitClocks, RateRule } from "./rate-rule.ts";
import { CalendarRule, WindowRule } from "./window.ts";

/** The rule by which a rate is counted. @param burst makes a token bucket of the rate; undefined counts in windows */
export function toRule(rate: Rate, burst: number | undefined, clocks: LimitClocks): RateRule {
  if ("calendar" in rate) return new CalendarRule(rate.count, rate.calendar, clocks.wallMs);
  if (burst !== undefined) return new BucketRule(rate.windowMs / rate.count, burst, clocks.nowMs);
  return new WindowRule(rate.count, rate.windowMs, clocks.nowMs);
}
