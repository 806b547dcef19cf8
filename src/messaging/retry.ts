import type { Ordering } from "./consume-settings.ts";

/** How messages are tried again. */
export interface RetryOptions {
  /** The pauses between the attempts of a message, in milliseconds; there is one attempt more. */
  readonly delaysMs: readonly number[];
  /**
   * Where a message waits: in its lane, which it holds, or in a retry queue of the broker, by which it loses its place in
   * the order. `auto` is `hold` where there is an order, else `later`.
   */
  readonly mode: "auto" | "hold" | "later";
  /** How far a pause of `hold` may be from its value by chance, as a share of it: 0 to 1. */
  readonly jitter: number;
}

/** The longest wait that an error can ask for in a lane, in milliseconds. */
const longestHoldMs = 600_000;

/** What follows on a failed attempt. */
export type Next =
  | { readonly kind: "hold"; readonly ms: number }
  | { readonly kind: "later"; readonly delayMs: number }
  /** There are no attempts left. */
  | { readonly kind: "over" };

/** When and where the messages of an rpc are tried again. */
export class RetrySchedule {
  /** Most attempts of a message; `Infinity` where it is tried until it is handled. */
  readonly attempts: number;
  readonly mode: "hold" | "later";
  readonly #delaysMs: readonly number[];
  readonly #jitter: number;
  readonly #random: () => number;

  /**
   * @param attempts of the rpc; undefined: one more than there are delays
   * @param random returns numbers from 0 to 1
   */
  constructor(
    { delaysMs, mode, jitter }: RetryOptions,
    ordering: Ordering,
    attempts: number | undefined,
    random: () => number,
  ) {
    this.attempts = delaysMs.length === 0 ? 1 : (attempts ?? delaysMs.length + 1);
    this.mode = mode === "auto" ? (ordering === "none" ? "later" : "hold") : mode;
    this.#delaysMs = delaysMs;
    this.#jitter = jitter;
    this.#random = random;
  }

  /** The delays of the retry queues that it needs, in milliseconds. */
  get queueDelaysMs(): readonly number[] {
    return this.mode === "later" && this.attempts > 1 ? this.#delaysMs : [];
  }

  /** Whether a message is tried until it is handled. */
  get isEndless(): boolean {
    return this.attempts === Number.POSITIVE_INFINITY;
  }

  /** How long a message may be held in all, in milliseconds; `Infinity` where it is tried until it is handled. */
  get longestHeldMs(): number {
    if (this.mode === "later") return 0;
    if (this.isEndless) return Number.POSITIVE_INFINITY;
    const pauses = this.attempts - 1;
    const given = this.#delaysMs.slice(0, pauses);
    const sum = given.reduce((before, delayMs) => before + delayMs, 0);
    return (sum + (pauses - given.length) * (given.at(-1) ?? 0)) * (1 + this.#jitter);
  }

  /**
   * What follows on an attempt that has failed.
   *
   * @param attempt from 1 on
   * @param askedMs what the error asks for, in milliseconds; undefined for nothing
   */
  after(attempt: number, askedMs: number | undefined): Next {
    if (attempt >= this.attempts) return { kind: "over" };
    const delayMs = this.#delayAfter(attempt);
    if (this.mode === "later") return { kind: "later", delayMs: this.#queueFor(askedMs ?? delayMs) };
    if (askedMs !== undefined) return { kind: "hold", ms: Math.min(askedMs, longestHoldMs) };
    return { kind: "hold", ms: Math.round(delayMs * (1 - this.#jitter + 2 * this.#jitter * this.#random())) };
  }

  #delayAfter(attempt: number): number {
    return this.#delaysMs[Math.min(attempt, this.#delaysMs.length) - 1] ?? 0;
  }

  /** The shortest delay that is not below `ms`, else the longest. */
  #queueFor(ms: number): number {
    const longEnough = this.#delaysMs.filter((delayMs) => delayMs >= ms);
    return longEnough.length > 0 ? Math.min(...longEnough) : Math.max(...this.#delaysMs);
  }
}
