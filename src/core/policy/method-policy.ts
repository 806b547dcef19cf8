import type { Code } from "../errors/errors.ts";
import type { Idempotency } from "./idempotency.ts";

/** Further attempts after a failed one. */
export interface RetryInit {
  /** Most attempts of a call, the first included, 1 to 10; 1 is off. Default: 3. */
  readonly maxAttempts?: number;
  /** The pause before the second attempt, in milliseconds. Default: 50. */
  readonly initialBackoffMs?: number;
  /** The longest pause, in milliseconds. Default: 1,000. */
  readonly maxBackoffMs?: number;
  /** Factor between one pause and the next. Default: 2. */
  readonly backoffMultiplier?: number;
  /** How far a pause may be from its value by chance, 0 to 1. Default: 0.2. */
  readonly jitter?: number;
  /**
   * The errors after which a call is tried again. Where the rpc itself is named, they count for it even if it is not
   * idempotent. Default: UNAVAILABLE.
   */
  readonly codes?: readonly Code[];
  /** The longest time of one attempt, in milliseconds. Default: none. */
  readonly attemptTimeoutMs?: number;
  /** Requests of streams that are larger than this together are not sent again, in bytes. Default: 262,144. */
  readonly bufferBytes?: number;
}

/** Further attempts before the first one has ended; for idempotent rpcs only. */
export interface HedgeInit {
  /** Most attempts of a call, the first included, 2 to 10. Default: 2. */
  readonly maxAttempts?: number;
  /** Time between attempts in milliseconds, or a quantile of the rpc's own durations. Default: `p95`. */
  readonly delayMs?: number | `p${number}`;
  /** The errors after which the next attempt begins at once. Default: UNAVAILABLE. */
  readonly codes?: readonly Code[];
  /** Most further attempts for each call, above 0 and at most 1. Default: 0.05. */
  readonly maxExtra?: number;
}

/** Refuses calls while the callee fails. */
export interface CircuitBreakerInit {
  /** `window` opens for some time, `adaptive` refuses calls by chance. Default: `window`. */
  readonly mode?: "window" | "adaptive";
  /** Share of failed calls at which it opens, above 0 and at most 1. Default: 0.5. */
  readonly failureRatio?: number;
  /** Fewest calls of the window that decide. Default: 20. */
  readonly minCalls?: number;
  /** Length of the window, in milliseconds. Default: 10,000. */
  readonly windowMs?: number;
  /** A call that lasts longer, in milliseconds, is slow. Default: none is. */
  readonly slowCallMs?: number;
  /** How long it is open the first time, in milliseconds. Default: 5,000. */
  readonly openForMs?: number;
  /** The longest time that it is open, in milliseconds. Default: 60,000. */
  readonly maxOpenForMs?: number;
  /** How many calls are let through when that time is over. Default: 1. */
  readonly probes?: number;
  /** After this time, in milliseconds, a probe that has not ended has failed. Default: 30,000. */
  readonly probeTimeoutMs?: number;
  /** What has a breaker of its own. Default: `method`. */
  readonly scope?: "target" | "method" | "endpoint" | "endpoint_method";
  /** The errors that count as failures. Default: UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN, DATA_LOSS. */
  readonly codes?: readonly Code[];
  /** Mode `adaptive`: calls for each that the callee accepts, at least 1. Default: 2. */
  readonly k?: number;
}

/** Limits the calls under way. */
export interface ConcurrencyInit {
  /** Most calls under way, at least 1. */
  readonly max: number;
  /** Most calls that wait for a place. Default: 0. */
  readonly queue?: number;
  /** The longest time that a call waits, in milliseconds. Default: 1,000. */
  readonly queueTimeoutMs?: number;
}

/** How the calls of some rpcs are made, as `ts_ms.v1.MethodPolicy` says it in contracts. */
export interface MethodPolicyInit {
  /** The default and the longest time of a call, further attempts included, in milliseconds. Default: none. */
  readonly timeoutMs?: number;
  /** What may be sent twice. Default: what the contract says. */
  readonly idempotency?: Idempotency;
  readonly retry?: RetryInit;
  /** Takes the place of retries. Default: none. */
  readonly hedge?: HedgeInit;
  /** Default: none. */
  readonly circuitBreaker?: CircuitBreakerInit;
  /** Default: none. */
  readonly concurrency?: ConcurrencyInit;
  /** Whether calls wait for an endpoint until their deadline. Default: false. */
  readonly waitForReady?: boolean;
  /** The largest request message, in bytes. Default: that of the client or server. */
  readonly maxRequestBytes?: number;
  /** The largest reply message, in bytes. Default: that of the client or server. */
  readonly maxResponseBytes?: number;
}

/** A policy with the rpcs that it is for. */
export interface SelectedPolicy extends MethodPolicyInit {
  /** `package.Service/Method`, `package.Service/*` or `package.*`; several with commas. */
  readonly selector: string;
}
