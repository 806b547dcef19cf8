import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import type { RequestHead } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { setFileHeaders } from "./raw-headers.ts";

/**
 * Converts an error of a call whose reply is a file: OUT_OF_RANGE becomes 416 if the client has requested a range, with
 * the `content-range` of the error's metadata (RFC 9110, section 15.5.17). Other errors stay as they are.
 */
export function toRangeError(reason: unknown, head: Pick<RequestHead, "method" | "headers">): unknown {
  // Section 14.2: `Range` applies to GET only.
  if (head.headers.range === undefined || head.method !== "GET") return reason;
  if (!(reason instanceof ConnectError) || reason.code !== Code.OutOfRange) return reason;
  const headers: Record<string, string> = {};
  setFileHeaders(reason.metadata, (name, value) => (headers[name] = value));
  const error = new HttpError(416, reason.rawMessage, { code: reason.code, headers });
  error.details = reason.details;
  return error;
}
