import type { KeyTable } from "./key-table.ts";
import type { CalendarPeriod } from "../config/rate-text.ts";
import type { RateRule, Verdict } from "./rate-rule.ts";

/**
 * Counts in windows: one begins with the first call of a key that passes, and exactly `count` calls pass in it. Of an
 * entry, `a` is where the window ends, `b` what is used.
 */
abstract class CountedRule implements RateRule {
  readonly #count: number;
  readonly #now: () => number;
  #nowMs = 0;

  constructor(count: number, now: () => number) {
    this.#count = count;
    this.#now = now;
  }

  /** The end of a window that begins now. */
  protected abstract endOf(nowMs: number): number;

  look(table: KeyTable, entry: number, cost: number, verdict: Verdict): void {
    const nowMs = this.#now();
    this.#nowMs = nowMs;
    let endMs = entry < 0 ? 0 : (table.a[entry] ?? 0);
    let used = 0;
    if (endMs > nowMs) used = table.b[entry] ?? 0;
    else endMs = this.endOf(nowMs);
    verdict.remaining = this.#count - used;
    verdict.resetMs = endMs - nowMs;
    verdict.allowed = used + cost <= this.#count;
    verdict.retryMs = verdict.allowed ? 0 : verdict.resetMs;
  }

  take(table: KeyTable, entry: number, cost: number): number {
    const nowMs = this.#nowMs;
    let endMs = table.a[entry] ?? 0;
    if (endMs > nowMs) {
      table.b[entry] = (table.b[entry] ?? 0) + cost;
    } else {
      endMs = this.endOf(nowMs);
      table.a[entry] = endMs;
      table.b[entry] = cost;
    }
    return endMs;
  }

  giveBack(table: KeyTable, entry: number, cost: number, endMs: number): void {
    if (table.a[entry] !== endMs) return; // Another window has begun, without the call.
    table.b[entry] = Math.max(0, (table.b[entry] ?? 0) - cost);
  }
}

/** Windows of a length. */
export class WindowRule extends CountedRule {
  readonly #windowMs: number;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(count: number, windowMs: number, now: () => number) {
    super(count, now);
    this.#windowMs = windowMs;
  }

  protected endOf(nowMs: number): number {
    return nowMs + this.#windowMs;
  }
}

/** Days or months of UTC. */
export class CalendarRule extends CountedRule {
  readonly #period: CalendarPeriod;
  #startMs = 0;
  #endMs = 0;

  /** @param wallClock milliseconds since 1970 */
  constructor(count: number, period: CalendarPeriod, wallClock: () => number) {
    super(count, wallClock);
    this.#period = period;
  }

  protected endOf(nowMs: number): number {
    if (nowMs < this.#startMs || nowMs >= this.#endMs) {
      this.#startMs = nowMs;
      this.#endMs = endOfPeriod(this.#period, nowMs);
    }
    return this.#endMs;
  }
}

/** The end of the day or the month of a time, in milliseconds since 1970. */
export function endOfPeriod(period: CalendarPeriod, nowMs: number): number {
  const now = new Date(nowMs);
  const year = now.getUTCFullYear();
  const month = now.getUTCMonth();
  return period === "day" ? Date.UTC(year, month, now.getUTCDate() + 1) : Date.UTC(year, month + 1, 1);
}
