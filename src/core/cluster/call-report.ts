import { notify } from "../call/observer.ts";
import type { CalledRpc } from "./called-rpc.ts";
import type { CallRecord } from "./client-observer.ts";

/**
 * The last step of a call: its books, and its observers.
 *
 * @param record what observers hear of its attempts; undefined without observers
 * @param code 0 for OK
 */
export function reportCall(
  { books, share, method }: CalledRpc,
  record: CallRecord | undefined,
  startedMs: number,
  code: number,
  nowMs: number,
): void {
  const durationMs = nowMs - startedMs;
  books.finished(code, durationMs);
  if (record === undefined) return;
  const { attempts, firstMs = nowMs } = record;
  const queuedMs = firstMs - startedMs;
  const call = { upstream: share.name, method, code, durationMs, queuedMs, attempts };
  notify(share.observers, (observer) => observer.callFinished?.(call));
}
