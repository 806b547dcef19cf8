import { Breaker, type Permit } from "../core/resilience/breaker.ts";
import type { Clock } from "../core/time/clock.ts";
import { consumeBreakerDefaults } from "../messaging/consume-breaker.ts";
import type { AttemptEnd } from "./target.ts";

/** A place in a lane. */
export interface LanePlace {
  /** Whether the last delivery of the subscription has failed. */
  readonly isFailing: boolean;
  /** A try has ended; undefined for one that was ended by this side. */
  leave(end: AttemptEnd | undefined): void;
}

/** What lanes need. */
export interface LaneParts {
  readonly clock: Clock;
  readonly random: () => number;
  /** Deliveries at once. */
  readonly concurrency: number;
}

/** Deliveries that wait for one lane, for each that may run. */
const waitingForEach = 8;
/** How long a delivery waits elsewhere that finds no place, in milliseconds. */
const fullForMs = 1_000;

/**
 * The deliveries of one subscription: so many at once, one while the last one has failed, and none while its breaker is
 * open. What finds no place waits in a queue of the broker, so that no subscription waits for the target of another.
 */
export class DeliveryLane {
  readonly #parts: LaneParts;
  /** Made when a delivery fails for the first time. */
  #breaker: Breaker | undefined;
  #isFailing = false;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(parts: LaneParts) {
    this.#parts = parts;
  }

  /** Resolves with a place, or with how long to wait elsewhere, in milliseconds. @throws the reason of the signal */
  async enter(signal: AbortSignal): Promise<LanePlace | number> {
    signal.throwIfAborted();
    const limit = this.#isFailing ? 1 : this.#parts.concurrency;
    if (this.#running < limit) this.#running++;
    else {
      if (this.#isFailing || this.#waiting.length >= limit * waitingForEach) return fullForMs;
      await this.#wait(signal);
    }
    if (this.#breaker?.admits === false) {
      this.#free();
      return Math.max(fullForMs, this.#breaker.retryAfterMs);
    }
    const permit = this.#breaker?.acquire();
    return { isFailing: this.#isFailing, leave: (end) => this.#leave(permit, end) };
  }

  #leave(permit: Permit | undefined, end: AttemptEnd | undefined): void {
    if (end === undefined) permit?.ignore();
    else {
      this.#isFailing = end.kind === "retry";
      if (end.kind === "retry") (permit ?? this.#latePermit())?.fail(end.error, true);
      else permit?.ok();
    }
    this.#free();
  }

  /** Of a try that began before there was a breaker; undefined where that is open by now. */
  #latePermit(): Permit | undefined {
    const { clock, random } = this.#parts;
    this.#breaker ??= new Breaker(consumeBreakerDefaults, { clock, random });
    return this.#breaker.state.kind === "closed" ? this.#breaker.acquire() : undefined;
  }

  #free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      const place = this.#waiting.indexOf(go);
      if (place >= 0) this.#waiting.splice(place, 1);
      reject(signal.reason);
    };
    const go = (): void => {
      signal.removeEventListener("abort", leave);
      resolve();
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#waiting.push(go);
    return promise;
  }
}
