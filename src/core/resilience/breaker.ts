import { unavailableFor } from "../errors/retry-info.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { AdaptiveShedding } from "./adaptive-shedding.ts";
import { mergeBreakerOptions, type BreakerOptions } from "./breaker-options.ts";
import { BreakerPermit, type Permit, type PermitScope } from "./breaker-permit.ts";
import { Circuit, type CircuitState } from "./circuit.ts";

export type { Permit } from "./breaker-permit.ts";

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

/** What only the library and its tests set. */
export interface BreakerParts {
  /** What calls are made to, as in `circuit open for users.v1.UserService.GetUser`. Default: not named. */
  readonly subject?: string;
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
}

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
  readonly #clock: Clock;
  readonly #refusal: string;
  readonly #circuit: Circuit;
  readonly #shedding: AdaptiveShedding | undefined;
  readonly #scope: PermitScope;
  readonly #listeners = new Set<(state: BreakerState) => void>();
  #refused = 0;
  #opened = 0;

  /** @throws TypeError naming the option that cannot be used */
  constructor(options: Partial<BreakerOptions> = {}, parts: BreakerParts = {}) {
    const { clock = systemClock, random = Math.random, subject } = parts;
    const merged = mergeBreakerOptions(options);
    const { name, mode, codes, k, minCalls, windowMs, slowCallMs = Infinity } = merged;
    this.name = name;
    this.#clock = clock;
    this.#refusal = `${name}: circuit open${subject === undefined ? "" : ` for ${subject}`}`;
    // In mode `adaptive` the circuit opens by `open()` alone.
    const rules = mode === "window" ? merged : { ...merged, minCalls: Infinity };
    this.#circuit = new Circuit(rules, random, (state) => this.#changed(state));
    if (mode === "adaptive") this.#shedding = new AdaptiveShedding(k, minCalls, windowMs, random);
    this.#scope = {
      clock,
      circuit: this.#circuit,
      shedding: this.#shedding,
      slowCallMs,
      codes: new Set(codes),
    };
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
    return new BreakerPermit(this.#scope, nowMs, epoch);
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
