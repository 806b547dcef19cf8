import { inTurn, leaveSpreadMs, type LeaveRate } from "../time/in-turn.ts";
import { systemClock } from "../time/clock.ts";

/** How connections are asked to go elsewhere when their server stops: ten thousand within ten seconds. */
export const leaveRate: LeaveRate = Object.freeze({ perSecond: 1_000, maxMs: 12_000 });

/**
 * Asks the clients of connections to go elsewhere, one after the other, so that all of them do not come to the other servers
 * in the same moment. All are asked within 0.8 of the grace period.
 *
 * @returns resolves when all are asked
 */
export function leaveInTurn(sessions: Iterable<{ drain(): void }>, graceMs: number): Promise<void> {
  const all = [...sessions];
  return inTurn(all.length, leaveSpreadMs(all.length, leaveRate, graceMs), systemClock, (index) =>
    all[index]?.drain(),
  ).done;
}
