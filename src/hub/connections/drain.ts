import type { ConnectError } from "../../core/errors/errors.ts";
import { unavailableFor } from "../../core/errors/retry-info.ts";
import type { Clock } from "../../core/time/clock.ts";
import { inTurn, leaveSpreadMs } from "../../core/time/in-turn.ts";

/** How connections that read topics end when their server stops. */
export interface DrainOptions {
  /** How many end in a second. Default: 1,000. */
  readonly perSecond: number;
  /** The longest time in which all of them end, in milliseconds; it is at most 0.8 of the grace period. Default: 12,000. */
  readonly maxMs: number;
}

/** The default of `DrainOptions`. */
export const drainDefaults: DrainOptions = Object.freeze({ perSecond: 1_000, maxMs: 12_000 });

/** The least time after which clients come back, in milliseconds. */
const leastRetryMs = 1_000;

/** Something that ends in its turn. */
export interface Draining {
  /** Ends it, unless it has ended already. */
  end(error: ConnectError): void;
}

/**
 * Ends connections one after the other, evenly over a time, so that those that come back do not come back at once. A
 * single one ends now.
 *
 * @param random returns numbers from 0 to 1
 * @returns a function that ends what is left at once
 */
export function drainInTurn(
  all: readonly Draining[],
  rate: DrainOptions,
  graceMs: number,
  clock: Clock,
  random: () => number,
): () => void {
  const spreadMs = leaveSpreadMs(all.length, rate, graceMs);
  const end = (index: number): void => {
    const afterMs = leastRetryMs + random() * spreadMs;
    all[index]?.end(unavailableFor("the server is shutting down", afterMs));
  };
  const turn = inTurn(all.length, spreadMs, clock, end);
  return () => turn.finish();
}
