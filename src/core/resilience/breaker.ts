import { Code, toCallError } from "../errors/errors.ts";
import { unavailableFor } from "../errors/retry-info.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { AdaptiveShedding } from "./adaptive-shedding.ts";
import { mergeBreakerOptions, type BreakerOptions } from "./breaker-options.ts";
import { Circuit, type CircuitState, type Outcome } from "./circuit.ts";

/** The state of a `Breaker`; `untilMs` is in milliseconds of `performance.now()`. */
export type BreakerState = CircuitState;

/** What a `Breaker` has counted. */
export interface BreakerStats {
  readonly name: string;
  readonly state: BreakerState;
  /** Calls of the window whose outcome counted; 0 in mode `adaptive`, as the next two. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly failures: number;
  /** Those of them that were slow. */
  readonly slow: number;
  /** The chance of the next call to be refused, from 0 to 1: what mode `adaptive` decides by. */
  readonly shedding: number;
  /** Calls that it has refused since it was made. */
  readonly refused: number;
  /** How often it has opened since it was made. */
  readonly opened: number;
}

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

/** What only the library and its tests set. */
export interface BreakerParts {
  /** What calls are made to, as in `circuit open for users.v1.UserService.GetUser`. Default: not named. */
  readonly subject?: string;
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
}

/** A shorter call than this, in milliseconds, proves nothing by its deadline. */
const leastDeadlineMs = 1_000;

/** How long callers that mode `adaptive` refuses shall wait, in milliseconds. */
const sheddingRetryMs = 1_000;

/**
 * A circuit breaker: spares a callee that fails, and its callers the wait.
 *
 * ```ts
 * const breaker = new Breaker({ name: "orders topic" });
 * await breaker.run(() => publish(record));
 * ```
 *
 * Refused calls are UNAVAILABLE, with `google.rpc.RetryInfo`.
 */
export class Breaker {
  readonly name: string;
  readonly #options: BreakerOptions;
  readonly #codes: ReadonlySet<Code>;
  readonly #clock: Clock;
  readonly #refusal: string;
  readonly #circuit: Circuit;
  readonly #shedding: AdaptiveShedding | undefined;
  readonly #listeners = new Set<(state: BreakerState) => void>();
  #refused = 0;
  #opened = 0;

  /** @throws TypeError naming the option that cannot be used */
  constructor(options: Partial<BreakerOptions> = {}, parts: BreakerParts = {}) {
    const { clock = systemClock, random = Math.random, subject } = parts;
    this.#options = mergeBreakerOptions(options);
    const { name, mode, codes, k, minCalls, windowMs } = this.#options;
    this.name = name;
    this.#codes = new Set(codes);
    this.#clock = clock;
    this.#refusal = `${name}: circuit open${subject === undefined ? "" : ` for ${subject}`}`;
    // In mode `adaptive` the circuit opens by `open()` alone.
    const rules = mode === "window" ? this.#options : { ...this.#options, minCalls: Infinity };
    this.#circuit = new Circuit(rules, random, (state) => this.#changed(state));
    if (mode === "adaptive") this.#shedding = new AdaptiveShedding(k, minCalls, windowMs, random);
  }

  /** The state now. A breaker that is open stays so until a call comes after `untilMs`, which is its first probe. */
  get state(): BreakerState {
    return this.#circuit.state(this.#clock.nowMs());
  }

  /** Whether `acquire` lets a call through now; in mode `adaptive` that is decided by chance, there alone. */
  get admits(): boolean {
    return this.#circuit.admits(this.#clock.nowMs());
  }

  /** How long a caller that is refused now shall wait, in milliseconds. */
  get retryAfterMs(): number {
    return this.#circuit.retryAfterMs(this.#clock.nowMs());
  }

  /**
   * Lets a call through; one of the permit's methods must be called when it has ended.
   *
   * @throws ConnectError UNAVAILABLE, with `google.rpc.RetryInfo`, if the breaker refuses the call
   */
  acquire(): Permit {
    const nowMs = this.#clock.nowMs();
    const epoch = this.#circuit.admit(nowMs);
    if (epoch === undefined) throw this.#refuse(this.#circuit.retryAfterMs(nowMs));
    if (this.#shedding?.admits(nowMs) === false) throw this.#refuse(sheddingRetryMs);
    return new BreakerPermit(nowMs, epoch, this.#settle);
  }

  /**
   * Calls `fn`, unless the breaker refuses the call. Its result is that of `fn`.
   *
   * @throws ConnectError UNAVAILABLE, with `google.rpc.RetryInfo`, if the breaker refuses the call
   */
  async run<T>(fn: () => T | Promise<T>): Promise<T> {
    const permit = this.acquire();
    try {
      const result = await fn();
      permit.ok();
      return result;
    } catch (error) {
      permit.fail(error);
      throw error;
    }
  }

  /** Refuses all calls until `reset()`. */
  open(): void {
    this.#circuit.hold();
  }

  /** Closes the breaker and forgets the calls so far. */
  reset(): void {
    this.#circuit.reset();
    this.#shedding?.reset();
  }

  /**
   * Calls `listener` with every new state. An exception of a listener becomes a warning of the process.
   *
   * @returns a function that unsubscribes it
   */
  onChange(listener: (state: BreakerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What it has counted. */
  stats(): BreakerStats {
    const nowMs = this.#clock.nowMs();
    return {
      name: this.name,
      state: this.#circuit.state(nowMs),
      ...this.#circuit.counts(nowMs),
      shedding: this.#shedding?.chance(nowMs) ?? 0,
      refused: this.#refused,
      opened: this.#opened,
    };
  }

  #refuse(retryAfterMs: number): Error {
    this.#refused++;
    return unavailableFor(this.#refusal, retryAfterMs);
  }

  /** Takes the outcome of a permit. */
  readonly #settle = (startedMs: number, epoch: number, end: PermitEnd): void => {
    const nowMs = this.#clock.nowMs();
    const outcome = this.#outcomeOf(end, nowMs - startedMs);
    this.#circuit.settle(epoch, startedMs, outcome, nowMs);
    if (outcome !== "nothing") this.#shedding?.settle(outcome !== "bad", nowMs);
  };

  #outcomeOf(end: PermitEnd, lastedMs: number): Outcome {
    if (end === "ignored") return "nothing";
    if (end !== "ok") {
      const code = end.error === undefined ? undefined : toCallError(end.error).code;
      if (code === Code.Canceled) return "nothing";
      if (code === Code.DeadlineExceeded && lastedMs < leastDeadlineMs && !end.byOwnTimeout) return "nothing";
      if (code === undefined || this.#codes.has(code)) return "bad";
    }
    const { slowCallMs } = this.#options;
    return slowCallMs !== undefined && lastedMs > slowCallMs ? "slow" : "good";
  }

  #changed(state: BreakerState): void {
    if (state.kind === "open") this.#opened++;
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        process.emitWarning(error instanceof Error ? error : String(error));
      }
    }
  }
}

/** How a permit was used. */
type PermitEnd = "ok" | "ignored" | { readonly error: unknown; readonly byOwnTimeout: boolean };

type Settle = (startedMs: number, epoch: number, end: PermitEnd) => void;

class BreakerPermit implements Permit {
  readonly #startedMs: number;
  readonly #epoch: number;
  /** Undefined once the call has ended. */
  #settle: Settle | undefined;

  constructor(startedMs: number, epoch: number, settle: Settle) {
    this.#startedMs = startedMs;
    this.#epoch = epoch;
    this.#settle = settle;
  }

  ok(): void {
    this.#end("ok");
  }

  fail(error?: unknown, byOwnTimeout = false): void {
    this.#end({ error, byOwnTimeout });
  }

  ignore(): void {
    this.#end("ignored");
  }

  #end(end: PermitEnd): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(this.#startedMs, this.#epoch, end);
  }
}
