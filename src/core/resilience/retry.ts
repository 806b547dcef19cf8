import type { Code } from "../errors/errors.ts";
import { Pauses, type Backoff } from "../time/pauses.ts";
import type { Pushback } from "./pushback.ts";
import type { RetryAllowance } from "./retry-budget.ts";

/**
 * How far a failed attempt came: it never left this process; the server said that it has not processed it; or it may
 * have been processed.
 */
export type AttemptProgress = "unsent" | "unprocessed" | "maybe";

/** When the calls of one rpc are tried again. */
export interface RetryRules {
  /** Most attempts of a call, the first included; 1 for no retries. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** The errors after which a call is tried again. */
  readonly codes: ReadonlySet<Code>;
  /**
   * Whether a call that may have been processed may be sent again: its rpc is idempotent, or a policy sets the codes of
   * this rpc.
   */
  readonly maySendAgain: boolean;
}

/** A failed attempt. */
export interface FailedAttempt {
  readonly code: Code;
  readonly progress: AttemptProgress;
  readonly pushback: Pushback;
  /** Whether the rules' own `attempt_timeout` ended it. */
  readonly timedOut: boolean;
  /** Whether anything of its reply has been handed to the caller. */
  readonly handedOver: boolean;
  /** Whether all of the request so far can be sent once more. */
  readonly isReplayable: boolean;
  /** When it failed, and the deadline of the call, in milliseconds of one clock; `Infinity` for no deadline. */
  readonly nowMs: number;
  readonly deadlineMs: number;
}

/** Why a call that would have been tried again is not. */
export type RetryDenial = "budget" | "deadline" | "pushback" | "committed" | "buffer";

/** What follows a failed attempt. */
export type RetryDecision =
  /**
   * A further attempt, on another endpoint if there is one. A `transparent` one counts neither as an attempt nor in the
   * budget.
   */
  | { readonly kind: "again"; readonly afterMs: number; readonly isTransparent: boolean }
  /**
   * The error goes to the caller. `isExhausted`: the call would have been tried again, but its attempts are used up or
   * `denied`; callers of this process must not try it again either.
   */
  | {
      readonly kind: "final";
      readonly isExhausted: boolean;
      readonly denied: RetryDenial | undefined;
    };

/** A server that asks for a longer pause than this, in milliseconds, gets no further attempt. */
const longestPushbackMs = 30_000;

const atOnce: RetryDecision = Object.freeze({ kind: "again", afterMs: 0, isTransparent: true });
const notRetriable: RetryDecision = Object.freeze({ kind: "final", isExhausted: false, denied: undefined });
const usedUp: RetryDecision = Object.freeze({ kind: "final", isExhausted: true, denied: undefined });

/** The retries of one call. */
export class Retries {
  readonly #rules: RetryRules;
  readonly #budget: RetryAllowance;
  readonly #pauses: Pauses;
  #attempts = 1;
  #wasUnprocessed = false;

  /** @param random returns numbers from 0 to 1 */
  constructor(rules: RetryRules, budget: RetryAllowance, random: () => number = Math.random) {
    this.#rules = rules;
    this.#budget = budget;
    this.#pauses = new Pauses(rules.backoff, random);
  }

  /** Attempts so far that count: the first one and its retries. `grpc-previous-rpc-attempts` is one less. */
  get attempts(): number {
    return this.#attempts;
  }

  /** What follows a failed attempt. An `again` counts as the next attempt. */
  next(failed: FailedAttempt): RetryDecision {
    const transparent = this.#isTransparent(failed);
    if (!transparent && (this.#rules.codes.has(failed.code) || failed.pushback === "never")) {
      this.#budget.failed?.();
    }
    if (!transparent && !this.#isRetriable(failed)) return notRetriable;
    if (failed.handedOver) return denied("committed");
    if (!failed.isReplayable) return denied("buffer");
    if (transparent) return failed.nowMs < failed.deadlineMs ? atOnce : denied("deadline");
    if (this.#attempts >= this.#rules.maxAttempts) return usedUp;
    return this.#afterPause(failed);
  }

  /** Whether the attempt was never processed, and is made again at once (gRFC A6). */
  #isTransparent({ progress }: FailedAttempt): boolean {
    if (progress === "unsent") return true;
    if (progress !== "unprocessed" || this.#wasUnprocessed) return false;
    this.#wasUnprocessed = true;
    return true;
  }

  #isRetriable({ code, progress, timedOut }: FailedAttempt): boolean {
    const { codes, maySendAgain, maxAttempts } = this.#rules;
    if (maxAttempts <= 1) return false;
    if (progress === "unprocessed") return true;
    return maySendAgain && (timedOut || codes.has(code));
  }

  #afterPause({ pushback, nowMs, deadlineMs }: FailedAttempt): RetryDecision {
    if (pushback === "never" || (pushback !== undefined && pushback > longestPushbackMs)) {
      return denied("pushback");
    }
    if (pushback !== undefined) this.#pauses.reset();
    const afterMs = pushback ?? this.#pauses.nextMs();
    // A pause that ends after the deadline would only turn this error into a DEADLINE_EXCEEDED that hides it.
    if (nowMs + afterMs >= deadlineMs) return denied("deadline");
    if (!this.#budget.take(nowMs)) return denied("budget");
    this.#attempts++;
    return { kind: "again", afterMs, isTransparent: false };
  }
}

function denied(why: RetryDenial): RetryDecision {
  return { kind: "final", isExhausted: true, denied: why };
}
