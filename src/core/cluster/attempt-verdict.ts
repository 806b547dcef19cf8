import { Code, type ConnectError } from "../errors/errors.ts";
import type { Progress } from "../http2/stream-source.ts";
import type { Verdict } from "./endpoint-load.ts";

/** Codes that speak against the endpoint; deadlines do after a while. */
const failures: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
]);

/** A deadline that passes sooner says nothing about the endpoint, in milliseconds. */
export const leastDeadlineMs = 1_000;

/**
 * What an attempt says about its endpoint: nothing if its caller has cancelled it or if it was never sent. What a server
 * has refused unread is no outage, and a stream that was answered may have no other end than its deadline.
 *
 * @param error undefined for OK
 * @param tookMs how long it lasted, or how long its caller's deadline let it last if that is less
 * @param byOwnTimeout whether a time limit of the policy has ended it, and not one of the caller
 * @param isAnswered whether it is a stream whose headers have come
 */
export function verdictOf(
  error: ConnectError | undefined,
  progress: Progress,
  tookMs: number,
  byOwnTimeout: boolean,
  isAnswered: boolean,
): Verdict {
  if (progress === "unsent") return "nothing";
  if (error === undefined) return "success";
  if (error.code === Code.Canceled) return "nothing";
  if (error.code === Code.DeadlineExceeded) {
    if (isAnswered) return "success";
    return byOwnTimeout || tookMs >= leastDeadlineMs ? "outage" : "nothing";
  }
  if (error.code === Code.Unavailable && progress === "maybe") return "outage";
  return failures.has(error.code) ? "failure" : "success";
}
