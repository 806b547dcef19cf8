import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { invalidArgument } from "../../core/errors/errors.ts";
import { parseTimeout } from "../../core/wire/grpc-timeout.ts";

/** The limits of the calls of one rpc. */
export interface TimeLimits {
  /** Time for a call whose client sets none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest time that a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
}

/**
 * The limits of the calls of an rpc, whatever its kind and the protocol that it is called by: the deadline that rules
 * outside the proto give it, else the options of the gateway, whose default is for unary calls alone. A stream without
 * a rule ends when it ends, unless its client says otherwise.
 *
 * @param deadlineMs what the rules say, undefined for nothing
 */
export function timeLimitsOf(
  { methodKind }: DescMethod,
  deadlineMs: number | undefined,
  { defaultTimeoutMs, maxTimeoutMs }: TimeLimits,
): TimeLimits {
  if (deadlineMs === undefined) {
    return { defaultTimeoutMs: methodKind === "unary" ? defaultTimeoutMs : 0, maxTimeoutMs };
  }
  return {
    defaultTimeoutMs: deadlineMs,
    maxTimeoutMs: maxTimeoutMs > 0 ? Math.min(deadlineMs, maxTimeoutMs) : deadlineMs,
  };
}

/** The time of a call whose client asks for `askedMs`; both in milliseconds. */
export function allowedMs(askedMs: number, { maxTimeoutMs }: TimeLimits): number {
  return maxTimeoutMs > 0 ? Math.min(askedMs, maxTimeoutMs) : askedMs;
}

const seconds = /^\d{1,10}(?:\.\d{1,9})?$/;
const milliseconds = /^\d{1,10}$/;

/**
 * The time that a client gives its call, in milliseconds: the smallest of `Grpc-Timeout`, `X-Server-Timeout` (seconds,
 * with fraction) and `Connect-Timeout-Ms`; undefined if it sent none of them.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the header whose value cannot be read
 */
export function requestedTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  const grpc = headers["grpc-timeout"];
  const server = headers["x-server-timeout"];
  const connect = headers["connect-timeout-ms"];
  if (grpc === undefined && server === undefined && connect === undefined) return undefined;
  let smallest = Number.POSITIVE_INFINITY;
  if (grpc !== undefined) {
    smallest =
      parseTimeout(String(grpc)) ?? malformed("Grpc-Timeout", "up to 8 digits and H, M, S, m, u or n");
  }
  if (server !== undefined) {
    if (!seconds.test(String(server))) malformed("X-Server-Timeout", "seconds, such as 1.5");
    smallest = Math.min(smallest, Number(server) * 1000);
  }
  return Math.min(smallest, connectTimeoutMs(headers) ?? smallest);
}

/**
 * The time of the header `Connect-Timeout-Ms`, in milliseconds; undefined where there is none.
 *
 * @throws ConnectError INVALID_ARGUMENT for anything but up to ten digits
 */
export function connectTimeoutMs({ "connect-timeout-ms": value }: IncomingHttpHeaders): number | undefined {
  if (value === undefined) return undefined;
  if (!milliseconds.test(String(value))) malformed("Connect-Timeout-Ms", "up to 10 digits");
  return Number(value);
}

function malformed(header: string, form: string): never {
  throw invalidArgument(`the header ${header} must be ${form}`);
}
