import { SlidingCounts } from "../time/sliding-counts.ts";

/** How many further attempts the calls of one target may make. */
export interface RetryBudgetOptions {
  /** Further attempts for each call begun in the window. Default: 0.2. */
  readonly ratio: number;
  /** Further attempts that are allowed however few calls there are. Default: 10. */
  readonly reserve: number;
  /** Length of the window, in milliseconds. Default: 10,000. */
  readonly windowMs: number;
}

/** What bounds the further attempts of all calls of one target. Times are in milliseconds of one clock. */
export interface RetryAllowance {
  /** A call has begun. */
  began(nowMs: number): void;
  /** Asks for one further attempt, when it is decided. @returns false if there is none */
  take(nowMs: number): boolean;
  /** How many further attempts are left; 0 or less for none. */
  left(nowMs: number): number;
  /** An attempt has failed in a way that is tried again. Default: of no interest. */
  failed?(): void;
  /** A call has ended well. Default: of no interest. */
  succeeded?(): void;
}

/** The defaults of `RetryBudgetOptions`. */
export const retryBudgetDefaults: RetryBudgetOptions = Object.freeze({
  ratio: 0.2,
  reserve: 10,
  windowMs: 10_000,
});

const calls = 0;
const further = 1;

/**
 * Bounds the further attempts of all calls of one target, so that retries cannot multiply the load of a target that
 * fails.
 */
export class RetryBudget implements RetryAllowance {
  readonly #options: RetryBudgetOptions;
  readonly #counts: SlidingCounts;

  constructor(options: Partial<RetryBudgetOptions> = {}) {
    this.#options = { ...retryBudgetDefaults, ...options };
    this.#counts = new SlidingCounts(this.#options.windowMs, 2);
  }

  /** A call has begun. */
  began(nowMs: number): void {
    this.#counts.add(calls, nowMs);
  }

  /**
   * Takes one further attempt out of the budget. It is taken when the attempt is decided, before its backoff: attempts
   * that wait for their time count.
   *
   * @returns false if none is left
   */
  take(nowMs: number): boolean {
    if (this.left(nowMs) <= 0) return false;
    this.#counts.add(further, nowMs);
    return true;
  }

  /** How many further attempts are left; 0 or less for none. */
  left(nowMs: number): number {
    const { ratio, reserve } = this.#options;
    return Math.max(reserve, ratio * this.#counts.total(calls, nowMs)) - this.#counts.total(further, nowMs);
  }
}
