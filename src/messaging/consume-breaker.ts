import { Code, type ConnectError } from "../core/errors/errors.ts";
import { Breaker, type BreakerParts, type BreakerState, type Permit } from "../core/resilience/breaker.ts";
import type { BreakerOptions } from "../core/resilience/breaker-options.ts";
import type { Clock } from "../core/time/clock.ts";

/** The errors by which a dependency of handlers is away. */
const outage: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted];

/** The options of the breaker of a subscription, where the server says no other. */
export const consumeBreakerDefaults: Partial<BreakerOptions> = Object.freeze({
  windowMs: 10_000,
  minCalls: 20,
  failureRatio: 0.5,
  openForMs: 5_000,
  maxOpenForMs: 60_000,
  codes: outage,
});

/** What a breaker says of a run that has ended. */
export type RunJudgement =
  /** The run is an attempt like any other. */
  | "counts"
  /** A dependency is away: the message goes back to the head of its lane, and no attempt counts. */
  | "outage";

/**
 * Spares a dependency that is away, and the attempts of messages that need it: when too many runs end in an outage, no
 * run begins for some time, and then one is the probe.
 */
export class ConsumeBreaker {
  readonly #breaker: Breaker;
  readonly #clock: Clock;
  readonly #wake: () => void;
  #timer: (() => void) | undefined;

  /** @param wake is called when a run may begin again */
  constructor(
    options: Partial<BreakerOptions>,
    parts: Required<Pick<BreakerParts, "clock" | "random">>,
    wake: () => void,
  ) {
    this.#breaker = new Breaker({ ...consumeBreakerDefaults, ...options }, parts);
    this.#clock = parts.clock;
    this.#wake = wake;
    this.#breaker.onChange(({ kind }) => {
      // A circuit changes in the middle of what a run has shown: what follows comes after that.
      if (kind === "closed") queueMicrotask(wake);
    });
  }

  get state(): BreakerState {
    return this.#breaker.state;
  }

  /** Whether a run may begin; where not, `wake` is called as soon as one may. */
  get admits(): boolean {
    if (this.#breaker.admits) return true;
    if (this.#timer === undefined) {
      const ms = Math.max(1, this.#breaker.retryAfterMs);
      this.#timer = this.#clock.after(ms, () => {
        this.#timer = undefined;
        this.#wake();
      });
    }
    return false;
  }

  /** A run begins, which `admits` has let through. */
  acquire(): Permit {
    return this.#breaker.acquire();
  }

  /** A run has ended. @param error undefined for OK */
  judge(permit: Permit, error: ConnectError | undefined): RunJudgement {
    if (error === undefined) permit.ok();
    else permit.fail(error, true);
    if (error === undefined || !outage.includes(error.code)) return "counts";
    return this.#breaker.state.kind === "closed" ? "counts" : "outage";
  }

  /** Ends what waits. */
  close(): void {
    this.#timer?.();
    this.#timer = undefined;
  }
}
