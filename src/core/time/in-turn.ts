import type { Clock } from "./clock.ts";

/** How often some have their turn, in milliseconds. */
const stepMs = 20;

/** Work on many things, one after the other. */
export interface Turn {
  /** Resolves after the last one. */
  readonly done: Promise<void>;
  /** The time that all of them take, in milliseconds. */
  readonly spreadMs: number;
  /** Those that are left have their turn now. */
  finish(): void;
  /** Those that are left have no turn. */
  stop(): void;
}

/**
 * Calls `fn` with each number from 0 to `count - 1`, evenly over a time, the first one at once.
 *
 * @param spreadMs the time for all of them, in milliseconds; 0 for all at once
 */
export function inTurn(count: number, spreadMs: number, clock: Clock, fn: (index: number) => void): Turn {
  const beganMs = clock.nowMs();
  const { promise, resolve } = Promise.withResolvers<void>();
  let next = 0;
  let cancel = (): void => {};
  const upTo = (end: number): void => {
    while (next < end) fn(next++);
    if (next >= count) resolve();
  };
  const step = (): void => {
    const part = spreadMs === 0 ? 1 : (clock.nowMs() - beganMs) / spreadMs;
    upTo(Math.min(count, Math.floor(count * part) + 1));
    if (next < count) cancel = clock.after(stepMs, step);
  };
  step();
  return {
    done: promise,
    spreadMs,
    finish: () => {
      cancel();
      upTo(count);
    },
    stop: () => {
      cancel();
      resolve();
    },
  };
}

/** How many things leave in a second, and how long all of them may take. */
export interface LeaveRate {
  readonly perSecond: number;
  /** In milliseconds. */
  readonly maxMs: number;
}

/** Of the grace period of a stop: what leaves last has the rest. */
const share = 0.8;

/** The time in which so many clients are asked to leave a server that stops, in milliseconds; a single one leaves at once. */
export function leaveSpreadMs(count: number, { perSecond, maxMs }: LeaveRate, graceMs: number): number {
  const wantedMs = count <= 1 ? 0 : (count / perSecond) * 1_000;
  return Math.min(wantedMs, maxMs, graceMs * share);
}
