import { Code, ConnectError } from "../errors/errors.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { Pauses } from "../time/pauses.ts";
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
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  /** Ends the pause at hand; undefined while a look-up is under way. */
  #wake: (() => void) | undefined;

  /**
   * @param name of the resolver, for errors
   * @param look rejects if it does not find out
   */
  constructor(name: string, look: (signal: AbortSignal) => Promise<Found>, parts: ResolverParts = {}) {
    this.#name = name;
    this.#look = look;
    this.#clock = parts.clock ?? systemClock;
    this.#pauses = resolverPauses(parts.random);
  }

  /** Looks now, unless it does so already. */
  refresh(): void {
    this.#wake?.();
  }

  /** Looks until the signal fires. Never rejects. */
  async run(listener: ResolverListener, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.#once(listener, signal);
      if (signal.aborted) return;
      await this.#pause(pauseMs, signal);
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

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        this.#wake = undefined;
        resolve();
      };
      const cancel = this.#clock.after(ms, end, false);
      signal.addEventListener("abort", end);
      this.#wake = end;
    });
  }
}

/** The error of a look-up: a `ConnectError` as it is, anything else as UNAVAILABLE with it as the cause. */
export function toResolverError(name: string, error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  return new ConnectError(`${name}: the look-up failed`, Code.Unavailable, undefined, undefined, error);
}
