import type { KeyTable } from "./key-table.ts";
import type { RateRule, Verdict } from "./rate-rule.ts";

/**
 * A token bucket: `burst` calls at once, then one in each `intervalMs`. It is kept as one number, the time at which the
 * bucket is full again (the generic cell rate algorithm): `a` of an entry.
 */
export class BucketRule implements RateRule {
  readonly #intervalMs: number;
  readonly #burst: number;
  readonly #now: () => number;
  #nowMs = 0;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(intervalMs: number, burst: number, now: () => number) {
    this.#intervalMs = intervalMs;
    this.#burst = burst;
    this.#now = now;
  }

  look(table: KeyTable, entry: number, cost: number, verdict: Verdict): void {
    const nowMs = this.#now();
    this.#nowMs = nowMs;
    const missingMs = Math.max(0, (entry < 0 ? 0 : (table.a[entry] ?? 0)) - nowMs);
    // A token that is there but for the error of a floating-point number is there.
    verdict.remaining = Math.floor(this.#burst - missingMs / this.#intervalMs + 1e-9);
    verdict.allowed = cost <= verdict.remaining;
    verdict.resetMs = verdict.allowed ? missingMs + cost * this.#intervalMs : missingMs;
    verdict.retryMs = verdict.allowed ? 0 : Math.max(0, missingMs - (this.#burst - cost) * this.#intervalMs);
  }

  take(table: KeyTable, entry: number, cost: number): number {
    const fullAtMs = Math.max(table.a[entry] ?? 0, this.#nowMs);
    table.a[entry] = fullAtMs + cost * this.#intervalMs;
    return 0;
  }

  giveBack(table: KeyTable, entry: number, cost: number): void {
    table.a[entry] = (table.a[entry] ?? 0) - cost * this.#intervalMs;
  }
}
