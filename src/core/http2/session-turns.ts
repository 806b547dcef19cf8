import { inTurn, leaveSpreadMs, type LeaveRate, type Turn } from "../time/in-turn.ts";
import { systemClock } from "../time/clock.ts";

export type { Turn };

/** How connections are asked to go elsewhere when their server stops: ten thousand within ten seconds. */
export const leaveRate: LeaveRate = Object.freeze({ perSecond: 1_000, maxMs: 12_000 });

/** A connection whose client can be asked to go elsewhere. */
interface LeavingSession {
  /** Whether its client was asked. */
  readonly isLeaving: boolean;
  drain(): void;
}

/**
 * Asks the clients of connections to go elsewhere, one after the other, so that all of them do not come to the other servers
 * in the same moment. All are asked within 0.8 of the grace period.
 *
 * @param graceMs Infinity while no end is known
 */
export function leaveInTurn(sessions: Iterable<LeavingSession>, graceMs: number): Turn {
  const all = [...sessions].filter(({ isLeaving }) => !isLeaving);
  return inTurn(all.length, leaveSpreadMs(all.length, leaveRate, graceMs), systemClock, (index) =>
    all[index]?.drain(),
  );
}
