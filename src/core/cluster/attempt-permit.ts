import { Code, type ConnectError } from "../errors/errors.ts";
import type { Progress } from "../http2/stream-source.ts";
import type { Permit } from "../resilience/breaker.ts";
import { leastDeadlineMs } from "./attempt-verdict.ts";

/**
 * What an attempt that has ended says to the breaker which let it through. A deadline of the caller that left it too little
 * time says nothing.
 *
 * @param byOwnTimeout whether the policy's own time limit has ended it
 * @param allowedMs the time that the caller left for it
 */
export function settlePermit(
  permit: Permit,
  error: ConnectError | undefined,
  progress: Progress,
  byOwnTimeout: boolean,
  allowedMs: number,
): void {
  const isCallers = error?.code === Code.DeadlineExceeded && !byOwnTimeout && allowedMs < leastDeadlineMs;
  if (error === undefined) permit.ok();
  else if (progress === "maybe" && !isCallers) permit.fail(error, byOwnTimeout);
  else permit.ignore();
}
