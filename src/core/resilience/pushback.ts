import type { ConnectError } from "../errors/errors.ts";
import { retryAfterMsOf } from "../errors/retry-info.ts";
import { pushbackHeader } from "../metadata/retry-headers.ts";

/** What a server says about a retry: after how many milliseconds, or `never`; undefined where it says nothing. */
export type Pushback = number | "never" | undefined;

/** The largest number of the trailer, an int32. */
const largestMs = 0x7fff_ffff;

/**
 * The value of `grpc-retry-pushback-ms`: a whole number in its canonical form. A negative number, or anything that is
 * no such number, means that the call must not be tried again (gRFC A6).
 */
export function parsePushback(text: string): number | "never" {
  if (!/^(?:0|[1-9]\d{0,9})$/.test(text)) return "never";
  const ms = Number(text);
  return ms <= largestMs ? ms : "never";
}

/**
 * The value of an HTTP `Retry-After`: seconds, or a date.
 *
 * @param nowMs milliseconds since 1970, to compare a date with
 * @returns undefined for what is neither
 */
export function parseRetryAfter(text: string, nowMs: number): number | undefined {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/**
 * What a failed reply says about a retry: its trailer, else its error.
 *
 * @param trailer `grpc-retry-pushback-ms`; undefined for none
 */
export function pushbackOfReply(
  trailer: string | readonly string[] | undefined,
  error: ConnectError,
): Pushback {
  return trailer === undefined ? pushbackOf(error) : parsePushback(String(trailer));
}

/**
 * What an error of an attempt says about a retry: its trailer `grpc-retry-pushback-ms`, else its detail
 * `google.rpc.RetryInfo`, else, for an answer over HTTP, its `Retry-After`.
 */
export function pushbackOf(error: ConnectError, wallClock: () => number = Date.now): Pushback {
  const trailer = error.metadata.get(pushbackHeader);
  if (trailer !== null) return parsePushback(trailer);
  const detail = retryAfterMsOf(error);
  if (detail !== undefined) return detail < 0 ? "never" : detail;
  const header = error.metadata.get("retry-after");
  return header === null ? undefined : parseRetryAfter(header, wallClock());
}
