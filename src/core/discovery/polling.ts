import { Code, ConnectError } from "../errors/errors.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { Pauses } from "../time/pauses.ts";
import { WakeablePause } from "../time/wakeable-pause.ts";
import type { Endpoint, ResolverListener } from "./resolver.ts";

/** Time and chance, of which tests have their own. */
export interface ResolverParts {
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
}

/** What a look-up found, and for how long it holds, in milliseconds. */
export interface Found {
  readonly endpoints: readonly Endpoint[];
  readonly holdMs: number;
}

/** The pauses after failures: 1 s × 1.6 up to 30 s, ± 20 %. */
const backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 };

/** The pauses of a resolver after its failures. @param random returns numbers from 0 to 1 */
export function resolverPauses(random?: () => number): Pauses {
  return new Pauses(backoff, random);
}

/** Looks again and again: when what was found no longer holds, after growing pauses while look-ups fail. */
export class Polling {
  readonly #look: (signal: AbortSignal) => Promise<Found>;
  readonly #name: string;
  readonly #pauses: Pauses;
  /** Until the next look-up. */
  readonly #pause: WakeablePause;

  /**
   * @param name of the resolver, for errors
   * @param look rejects if it does not find out
   */
  constructor(name: string, look: (signal: AbortSignal) => Promise<Found>, parts: ResolverParts = {}) {
    this.#name = name;
    this.#look = look;
    this.#pauses = resolverPauses(parts.random);
    this.#pause = new WakeablePause(parts.clock ?? systemClock);
  }

  /** Looks now, unless it does so already. */
  refresh(): void {
    this.#pause.end();
  }

  /** Looks until the signal fires. Never rejects. */
  async run(listener: ResolverListener, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.#once(listener, signal);
      if (signal.aborted) return;
      await this.#pause.wait(pauseMs, signal);
    }
  }

  async #once(listener: ResolverListener, signal: AbortSignal): Promise<number> {
    try {
      const { endpoints, holdMs } = await this.#look(signal);
      this.#pauses.reset();
      if (!signal.aborted) listener.update(endpoints);
      return holdMs;
    } catch (error) {
      if (!signal.aborted) listener.failed(toResolverError(this.#name, error));
      return this.#pauses.nextMs();
    }
  }
}

/** The error of a look-up: a `ConnectError` as it is, anything else as UNAVAILABLE with it as the cause. */
export function toResolverError(name: string, error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  return new ConnectError(`${name}: the look-up failed`, Code.Unavailable, undefined, undefined, error);
}
