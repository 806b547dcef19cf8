import { SlidingCounts } from "../time/sliding-counts.ts";

const requests = 0;
const accepts = 1;

/**
 * Client-side throttling ("Site Reliability Engineering", chapter 21): of the calls of the window, those that the
 * callee accepted are compared with all that callers wanted to make. Once these are more than `k` times as many, calls
 * are refused by chance, so that `k` times of what the callee accepts still reaches it.
 */
export class AdaptiveShedding {
  readonly #k: number;
  readonly #minCalls: number;
  readonly #counts: SlidingCounts;
  readonly #random: () => number;

  /**
   * @param k calls made for each accepted one, at least 1
   * @param minCalls fewer calls of the window than this are never refused
   * @param random returns numbers from 0 to 1
   */
  constructor(k: number, minCalls: number, windowMs: number, random: () => number) {
    this.#k = k;
    this.#minCalls = minCalls;
    this.#counts = new SlidingCounts(windowMs, 2);
    this.#random = random;
  }

  /** Whether a call may be made. A refused call counts as one that the callee has not accepted. */
  admits(nowMs: number): boolean {
    const chance = this.chance(nowMs);
    if (chance === 0 || this.#random() >= chance) return true;
    this.#counts.add(requests, nowMs);
    return false;
  }

  /** A call that was made has ended, and its outcome counts. */
  settle(accepted: boolean, nowMs: number): void {
    this.#counts.add(requests, nowMs);
    if (accepted) this.#counts.add(accepts, nowMs);
  }

  /** The chance of the next call to be refused, from 0 to 1. */
  chance(nowMs: number): number {
    const wanted = this.#counts.total(requests, nowMs);
    if (wanted < this.#minCalls) return 0;
    return Math.max(0, (wanted - this.#k * this.#counts.total(accepts, nowMs)) / (wanted + 1));
  }

  /** Forgets all calls. */
  reset(): void {
    this.#counts.clear();
  }
}
