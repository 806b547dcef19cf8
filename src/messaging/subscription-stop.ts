import { Code, ConnectError } from "../core/errors/errors.ts";
import { rpcName } from "../core/call/service.ts";
import type { StopReport } from "../core/lifecycle/lifecycle.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Consumed } from "./consumed.ts";

/** How long aborted runs may take to end, and the broker to let go, in milliseconds. */
const flushMs = 500;

/** What the stop of a subscription works on. Nothing begins any more. */
export interface StopParts {
  readonly clock: Clock;
  /** Whether what waits may only go back when what runs is settled. */
  readonly isOrdered: boolean;
  /** Deliveries that are not settled. */
  readonly open: Iterable<Consumed>;
  /** Resolves when no run is under way. */
  readonly idle: () => Promise<void>;
  readonly releaseWaiting: () => void;
  readonly release: (message: Consumed) => void;
  /** Ends the grace period at once when it fires. */
  readonly cutting: AbortSignal;
  /** Ends the subscription at the broker; resolves when nothing is unsettled. */
  readonly ended: () => Promise<void> | undefined;
}

/**
 * Stops a subscription: what waits goes back to the broker, what runs may end within the grace period. What runs then is
 * aborted with UNAVAILABLE, goes back too, and is reported as cut. No attempt is counted, and nothing is moved.
 *
 * Of an ordered subscription nothing goes back before what runs has ended, so that no other process overtakes it.
 */
export async function stopRuns(graceMs: number, parts: StopParts): Promise<StopReport> {
  const { clock, isOrdered, open, idle, releaseWaiting, release, cutting } = parts;
  const ended = parts.ended();
  if (!isOrdered) releaseWaiting();
  const running = [...open].filter(({ call }) => call !== undefined);
  const isInTime = await within(clock, idle(), graceMs, cutting);
  const cut: string[] = [];
  if (!isInTime) {
    const reason = new ConnectError("the server stops", Code.Unavailable);
    for (const message of open) {
      const { call } = message;
      if (call === undefined) continue;
      cut.push(rpcName(call.method));
      message.abortedBy = reason;
      call.abort(reason);
    }
    await within(clock, idle(), flushMs);
  }
  releaseWaiting();
  for (const message of [...open]) release(message); // Such as one whose move is not confirmed.
  if (ended !== undefined) await within(clock, ended, flushMs);
  return { finished: running.length - cut.length, notified: [], cut };
}

/** Whether something is done in time, and before `cutting` fires. */
async function within(
  clock: Clock,
  work: Promise<void>,
  ms: number,
  cutting?: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const late = (): void => resolve(false);
    const cancel = clock.after(ms, late);
    cutting?.addEventListener("abort", late);
    work.then(() => {
      cancel();
      cutting?.removeEventListener("abort", late);
      resolve(true);
    }, reject);
  });
}
