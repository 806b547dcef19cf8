import type { IncomingHttpHeaders } from "node:http";
import { requestedTimeoutMs } from "../call-timeout.ts";

/** How long a call may take, in milliseconds. */
export interface CallTime {
  /** From the beginning of the call on; undefined where its client has set none. */
  readonly ownMs: number | undefined;
  /** From its first message on, for clients that have set none; undefined for none. */
  readonly defaultMs: number | undefined;
}

/** The limits of a route. */
export interface TimeLimits {
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
}

/**
 * The time of a call by its headers.
 *
 * @param frameMs what a frame asks for; the smaller one counts
 * @throws ConnectError INVALID_ARGUMENT naming the header that cannot be read
 */
export function callTime(
  headers: IncomingHttpHeaders,
  { defaultTimeoutMs, maxTimeoutMs }: TimeLimits,
  frameMs?: number,
): CallTime {
  const asked = [requestedTimeoutMs(headers), frameMs].filter((ms) => ms !== undefined);
  if (asked.length === 0) {
    return { ownMs: undefined, defaultMs: defaultTimeoutMs > 0 ? defaultTimeoutMs : undefined };
  }
  return { ownMs: Math.min(...asked, maxTimeoutMs > 0 ? maxTimeoutMs : Infinity), defaultMs: undefined };
}
