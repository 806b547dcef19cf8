import type { IncomingHttpHeaders } from "node:http";
import { invalidArgument } from "../core/errors.ts";

/** Milliseconds of the units of `Grpc-Timeout`. */
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

const grpcTimeout = /^(\d{1,8})([HMSmun])$/;
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
    const [, amount, unit] =
      grpcTimeout.exec(String(grpc)) ?? malformed("Grpc-Timeout", "up to 8 digits and H, M, S, m, u or n");
    smallest = Number(amount) * (units[unit ?? ""] ?? 0);
  }
  if (server !== undefined) {
    if (!seconds.test(String(server))) malformed("X-Server-Timeout", "seconds, such as 1.5");
    smallest = Math.min(smallest, Number(server) * 1000);
  }
  if (connect !== undefined) {
    if (!milliseconds.test(String(connect))) malformed("Connect-Timeout-Ms", "up to 10 digits");
    smallest = Math.min(smallest, Number(connect));
  }
  return smallest;
}

function malformed(header: string, form: string): never {
  throw invalidArgument(`the header ${header} must be ${form}`);
}
