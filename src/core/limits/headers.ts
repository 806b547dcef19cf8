import type { LimitHeaders, LimitOptions } from "./limit-options.ts";
import type { Rate } from "../config/rate-text.ts";

/** A limit and what is left of it, for headers. */
export interface Left {
  readonly name: string;
  /** The item of `RateLimit-Policy`. */
  readonly policy: string;
  /** `itemStart` of the name. */
  readonly item: string;
  readonly headers: LimitHeaders;
  /** What the limit has in all. */
  readonly quota: number;
  /** What is left behind the call. */
  remaining: number;
  /** Time until all of it is there again, in milliseconds; undefined for open calls, which end when they end. */
  resetMs: number | undefined;
}

const daySeconds = 86_400;

/** The item of a limit in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). */
export function ratePolicy(name: string, rate: Rate): string {
  const text = `"${name}";q=${rate.count}`;
  if (!("calendar" in rate)) return `${text};w=${Math.ceil(rate.windowMs / 1000)}`;
  return rate.calendar === "day" ? `${text};w=${daySeconds}` : text; // The draft's windows have one length; months differ.
}

/** As `ratePolicy`, for open calls. */
export function concurrentPolicy(name: string, { concurrent }: Pick<LimitOptions, "concurrent">): string {
  return `"${name}";q=${concurrent};qu="concurrent-requests"`;
}

/** `RateLimit-Policy` of limits in their order; empty for none. */
export function policiesOf(limits: readonly Left[]): string {
  return limits.flatMap(({ headers, policy }) => (isOfDraft(headers) ? [policy] : [])).join(", ");
}

function isOfDraft(headers: LimitHeaders): boolean {
  return headers !== "off" && headers !== "trio";
}

/**
 * Sets the headers that say what is left of the limits of a call; names are in lower case.
 *
 * @param known `policiesOf` these limits, which are in their order then. Default: it is made
 */
export function writeLimitHeaders(
  limits: readonly Left[],
  set: (name: string, value: string) => void,
  known?: string,
): void {
  let left = "";
  let tightest: Left | undefined;
  const ordered = known !== undefined || isOrdered(limits) ? limits : tightestFirst(limits);
  for (const limit of ordered) {
    const { headers } = limit;
    if (headers === "off") continue;
    if (headers !== "draft") tightest ??= limit;
    if (headers === "trio") continue;
    left = left === "" ? itemOf(limit) : `${left}, ${itemOf(limit)}`;
  }
  if (left !== "") {
    set("ratelimit-policy", known ?? policiesOf(ordered));
    set("ratelimit", left);
  }
  if (tightest === undefined) return;
  set("ratelimit-limit", String(tightest.quota));
  set("ratelimit-remaining", String(tightest.remaining));
  set("ratelimit-reset", String(seconds(tightest.resetMs ?? 0)));
}

/** The item of a limit in `RateLimit`, as far as its name says it. */
export function itemStart(name: string): string {
  return `"${name}";r=`;
}

function itemOf({ item, remaining, resetMs }: Left): string {
  return resetMs === undefined ? `${item}${remaining}` : `${item}${remaining};t=${seconds(resetMs)}`;
}

function isOrdered(limits: readonly Left[]): boolean {
  let before = 0;
  for (const { remaining } of limits) {
    if (remaining < before) return false;
    before = remaining;
  }
  return true;
}

function tightestFirst(limits: readonly Left[]): readonly Left[] {
  const sorted = [...limits];
  sortTightestFirst(sorted);
  return sorted;
}

/**
 * Sorts limits in their place, by insertion: there are a few, and most calls find them almost in order.
 *
 * @returns whether that has changed their order
 */
export function sortTightestFirst(limits: Left[]): boolean {
  let isChanged = false;
  for (let i = 1; i < limits.length; i++) {
    const one = limits[i];
    if (one === undefined) continue;
    let at = i;
    for (let before = limits[at - 1]; before !== undefined && isBehind(before, one);) {
      isChanged = true;
      limits[at--] = before;
      before = limits[at - 1];
    }
    limits[at] = one;
  }
  return isChanged;
}

function isBehind(before: Left, one: Left): boolean {
  return before.remaining > one.remaining;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
