import type { EdgeRequest } from "../../core/call/edge-request.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";

/** Whether the answer to a request can still have cookies: not over gRPC, on a WebSocket, or once it has begun. */
export function takesCookies(edge: EdgeRequest | undefined): edge is EdgeRequest {
  return edge !== undefined && edge.cookies !== null && !("answered" in edge && edge.answered === true);
}

/**
 * Sets a cookie on the answer, in place of one of the same name that was set before.
 *
 * @param cookie the value of `set-cookie`
 * @throws ConnectError FAILED_PRECONDITION where the answer can have none
 */
export function putCookie(edge: EdgeRequest | undefined, name: string, cookie: string): void {
  if (!takesCookies(edge)) {
    throw new ConnectError(
      "cookies are set by calls over HTTP, before the first message of their answer",
      Code.FailedPrecondition,
    );
  }
  edge.cookies = [...(edge.cookies ?? []).filter((one) => !one.startsWith(`${name}=`)), cookie];
}
