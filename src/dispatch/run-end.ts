import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { retryAfterMsOf } from "../core/errors/retry-info.ts";
import { verdictOf } from "../messaging/outcome.ts";
import type { AttemptEnd } from "./target.ts";

/** What an error of an rpc, a broker or a room makes of a try: as messages that become calls. */
export function endOf(reason: unknown): AttemptEnd {
  const error = toCallError(reason);
  switch (verdictOf(error, undefined, []).kind) {
    case "retry":
      return { kind: "retry", error, afterMs: retryAfterMsOf(error) };
    case "dead":
      return { kind: "dead", reason: "permanent", error };
    default:
      return { kind: "done" }; // The target has discarded it.
  }
}

/** The end of a try that took too long. */
export function tookTooLong(timeoutMs: number): ConnectError {
  return new ConnectError(`the target has not answered within ${timeoutMs} ms`, Code.DeadlineExceeded);
}
