import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { invalidArgument } from "../../core/errors/errors.ts";
import { parseTimeout } from "../../core/wire/grpc-timeout.ts";

/** The limits of the calls of one rpc. */
export interface TimeLimits {
  /** Timeout of a call whose client sets none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest timeout that a client may set, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
}

/**
 * The limits of the calls of an rpc, for all kinds and protocols: the deadline from rules outside the proto, else the
 * options of the gateway, whose default timeout applies to unary calls only. A stream without a rule has no timeout,
 * unless its client sets one.
 *
 * @param deadlineMs the deadline from the rules; undefined for none
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

/** The timeout of a call whose client sets `askedMs`; both in milliseconds. */
export function allowedMs(askedMs: number, { maxTimeoutMs }: TimeLimits): number {
  return maxTimeoutMs > 0 ? Math.min(askedMs, maxTimeoutMs) : askedMs;
}

const seconds = /^\d{1,10}(?:\.\d{1,9})?$/;
const milliseconds = /^\d{1,10}$/;

/**
 * The timeout that the client sets, in milliseconds: the smallest of `Grpc-Timeout`, `X-Server-Timeout` (seconds, with
 * fraction) and `Connect-Timeout-Ms`; undefined if it has sent none of them.
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
