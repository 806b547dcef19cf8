import type { Code } from "../errors/errors.ts";
import { SlidingCounts } from "../time/sliding-counts.ts";
import { LatencyQuantile } from "./latency-quantile.ts";
import type { Pushback } from "./pushback.ts";
import type { RetryAllowance } from "./retry-budget.ts";

/** How calls of one rpc are hedged. */
export interface HedgeRules {
  /** Most attempts of a call, the first included. */
  readonly maxAttempts: number;
  /** Time between attempts in milliseconds, or the quantile of the rpc's durations, `0.95` for `p95`. */
  readonly delay: { readonly ms: number } | { readonly quantile: number };
  /** The errors after which the next attempt begins at once; any other error ends the call. */
  readonly codes: ReadonlySet<Code>;
  /** Most further attempts for each call. */
  readonly maxExtra: number;
}

/** Fewest durations of calls that a quantile is made of. */
const leastSamples = 100;
/** Window of the share of further attempts, in milliseconds. */
const windowMs = 10_000;

const calls = 0;
const extra = 1;

/** What the calls of one rpc on one target have in common: durations, and the share of further attempts. */
export class HedgeBooks {
  readonly rules: HedgeRules;
  readonly #budget: RetryAllowance;
  readonly #quantile: LatencyQuantile | undefined;
  readonly #counts = new SlidingCounts(windowMs, 2);

  constructor(rules: HedgeRules, budget: RetryAllowance) {
    this.rules = rules;
    this.#budget = budget;
    const { delay } = rules;
    if ("quantile" in delay) this.#quantile = new LatencyQuantile(delay.quantile, leastSamples);
  }

  /** A call has begun. */
  began(nowMs: number): void {
    this.#counts.add(calls, nowMs);
  }

  /** An attempt has succeeded after this time. */
  succeeded(durationMs: number): void {
    this.#quantile?.add(durationMs);
  }

  /** Time until the next attempt of a call, in milliseconds; undefined before enough durations are known. */
  get delayMs(): number | undefined {
    const { delay } = this.rules;
    return "ms" in delay ? delay.ms : this.#quantile?.valueMs;
  }

  /** Takes a further attempt. @returns false if there may be none now */
  take(nowMs: number): boolean {
    const allowed = this.rules.maxExtra * this.#counts.total(calls, nowMs);
    if (this.#counts.total(extra, nowMs) + 1 > allowed) return false;
    if (!this.#budget.take(nowMs)) return false;
    this.#counts.add(extra, nowMs);
    return true;
  }
}

/** What follows the end of an attempt of a hedged call. */
export type HedgeDecision =
  /** The outcome of this attempt is that of the call; all others are cancelled. */
  | { readonly kind: "outcome" }
  /** Other attempts are still under way. */
  | { readonly kind: "wait" }
  /** The next attempt begins now. */
  | { readonly kind: "next" };

/**
 * The attempts of one hedged call (gRFC A6). It has no timers: `nextMs` is when `due` is to be called.
 */
export class Hedges {
  readonly #books: HedgeBooks;
  #begun = 1;
  #running = 1;
  #isOver = false;
  /** A server has asked for no further attempts. */
  #isStopped = false;
  #nextMs: number | undefined;

  /** The first attempt has begun. */
  constructor(books: HedgeBooks, nowMs: number) {
    this.#books = books;
    books.began(nowMs);
    this.#schedule(nowMs);
  }

  /** When the next attempt is due; undefined for no further one. */
  get nextMs(): number | undefined {
    return this.#isOver ? undefined : this.#nextMs;
  }

  /**
   * The time of `nextMs` has come.
   *
   * @param hasUntried whether there is a pickable endpoint that this call has not tried
   * @returns whether an attempt begins now
   */
  due(nowMs: number, hasUntried: boolean): boolean {
    if (this.#nextMs === undefined || this.#isOver) return false;
    if (!this.#begin(nowMs, hasUntried)) {
      this.#nextMs = undefined;
      return false;
    }
    return true;
  }

  /**
   * An attempt has failed.
   *
   * @param hasUntried as of `due`
   */
  failed(code: Code, pushback: Pushback, nowMs: number, hasUntried: boolean): HedgeDecision {
    if (this.#isOver) return { kind: "wait" };
    this.#running--;
    if (!this.#books.rules.codes.has(code)) return this.#end();
    if (pushback === "never") this.#isStopped = true;
    if (this.#isStopped || pushback === "never") this.#nextMs = undefined;
    else if (pushback !== undefined) {
      // The server chooses when the next attempt comes.
      if (this.#begun < this.#books.rules.maxAttempts) this.#nextMs = nowMs + pushback;
      return this.#running > 0 || this.#nextMs !== undefined ? { kind: "wait" } : this.#end();
    } else if (this.#begin(nowMs, hasUntried)) return { kind: "next" };
    return this.#running > 0 ? { kind: "wait" } : this.#end();
  }

  /** An attempt has succeeded: the others are cancelled, and count nowhere. */
  succeeded(durationMs: number): HedgeDecision {
    if (this.#isOver) return { kind: "wait" };
    this.#books.succeeded(durationMs);
    return this.#end();
  }

  #end(): HedgeDecision {
    this.#isOver = true;
    this.#nextMs = undefined;
    return { kind: "outcome" };
  }

  #begin(nowMs: number, hasUntried: boolean): boolean {
    if (this.#isStopped || !hasUntried || this.#begun >= this.#books.rules.maxAttempts) return false;
    if (!this.#books.take(nowMs)) return false;
    this.#begun++;
    this.#running++;
    this.#schedule(nowMs);
    return true;
  }

  #schedule(nowMs: number): void {
    const delayMs = this.#books.delayMs;
    const isLast = this.#begun >= this.#books.rules.maxAttempts;
    this.#nextMs = isLast || delayMs === undefined ? undefined : nowMs + delayMs;
  }
}
