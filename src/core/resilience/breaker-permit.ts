import { Code, toCallError } from "../errors/errors.ts";
import type { Clock } from "../time/clock.ts";
import type { AdaptiveShedding } from "./adaptive-shedding.ts";
import type { Circuit, Outcome } from "./circuit.ts";

/** A call that a `Breaker` let through. The first of its methods that is called counts, further calls do nothing. */
export interface Permit {
  /** The call was good. */
  ok(): void;
  /**
   * The call failed. Whether that counts depends on its error: codes outside of the option `codes` prove that the callee
   * works; a cancelled call proves nothing, and so does DEADLINE_EXCEEDED within a second of the call's begin.
   *
   * @param error default: one that counts
   * @param byOwnTimeout whether a timeout that is set for this callee ended the call, so that DEADLINE_EXCEEDED counts
   *   however short it was. Default: false
   */
  fail(error?: unknown, byOwnTimeout?: boolean): void;
  /** The call proves nothing. */
  ignore(): void;
}

/** What the permits of one breaker have in common. */
export interface PermitScope {
  readonly clock: Clock;
  readonly circuit: Circuit;
  /** Undefined in mode `window`. */
  readonly shedding: AdaptiveShedding | undefined;
  /** A longer call counts as slow, in milliseconds; Infinity for none. */
  readonly slowCallMs: number;
  /** What speaks against the callee. */
  readonly codes: ReadonlySet<Code>;
}

/** A shorter call than this, in milliseconds, proves nothing by its deadline. */
const leastDeadlineMs = 1_000;

/** The permit of a `Breaker`. */
export class BreakerPermit implements Permit {
  readonly #startedMs: number;
  readonly #epoch: number;
  /** Undefined once the call has ended. */
  #scope: PermitScope | undefined;

  /** @param epoch what the circuit's `admit` returned */
  constructor(scope: PermitScope, startedMs: number, epoch: number) {
    this.#scope = scope;
    this.#startedMs = startedMs;
    this.#epoch = epoch;
  }

  ok(): void {
    const scope = this.#scope;
    if (scope === undefined) return;
    const nowMs = scope.clock.nowMs();
    this.#settle(scope, nowMs - this.#startedMs > scope.slowCallMs ? "slow" : "good", nowMs);
  }

  fail(error?: unknown, byOwnTimeout = false): void {
    const scope = this.#scope;
    if (scope === undefined) return;
    const nowMs = scope.clock.nowMs();
    const lastedMs = nowMs - this.#startedMs;
    this.#settle(scope, outcomeOf(scope, error, byOwnTimeout, lastedMs), nowMs);
  }

  ignore(): void {
    const scope = this.#scope;
    if (scope !== undefined) this.#settle(scope, "nothing", scope.clock.nowMs());
  }

  #settle(scope: PermitScope, outcome: Outcome, nowMs: number): void {
    this.#scope = undefined;
    scope.circuit.settle(this.#epoch, this.#startedMs, outcome, nowMs);
    if (outcome !== "nothing") scope.shedding?.settle(outcome !== "bad", nowMs);
  }
}

/** What an error proves. */
function outcomeOf(
  { codes, slowCallMs }: PermitScope,
  error: unknown,
  byOwnTimeout: boolean,
  lastedMs: number,
): Outcome {
  const code = error === undefined ? undefined : toCallError(error).code;
  if (code === Code.Canceled) return "nothing";
  if (code === Code.DeadlineExceeded && lastedMs < leastDeadlineMs && !byOwnTimeout) return "nothing";
  if (code === undefined || codes.has(code)) return "bad";
  return lastedMs > slowCallMs ? "slow" : "good";
}
