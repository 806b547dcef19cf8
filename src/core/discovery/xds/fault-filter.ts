import type { HTTPFault } from "../../../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { BadResource, durationMs, shareOf } from "./bad-resource.ts";

/** Faults that are to be injected into calls. */
export interface XdsFault {
  /** Undefined for no delay; without `ms` the caller's header says how long. */
  readonly delay: { readonly ms: number | undefined; readonly share: number } | undefined;
  /** Undefined for no abort; without a status the caller's header says which. */
  readonly abort:
    | { readonly grpc: number | undefined; readonly http: number | undefined; readonly share: number }
    | undefined;
  /** Most calls with faults at a time. */
  readonly maxActive: number;
}

/** @throws BadResource */
export function readFault({ delay, abort, maxActiveFaults }: HTTPFault): XdsFault {
  const kind = delay?.faultDelaySecifier;
  const status = abort?.errorType;
  const grpc = status?.case === "grpcStatus" ? status.value : undefined;
  const http = status?.case === "httpStatus" ? status.value : undefined;
  if (grpc !== undefined && grpc > 16) throw new BadResource(`abort.grpc_status ${grpc} is no code`);
  if (http !== undefined && (http < 200 || http > 599)) {
    throw new BadResource(`abort.http_status ${http} is no status`);
  }
  return {
    delay:
      kind?.case === undefined
        ? undefined
        : {
            ms: kind.case === "fixedDelay" ? durationMs(kind.value, "delay.fixed_delay") : undefined,
            share: shareOf(delay?.percentage, "delay.percentage"),
          },
    abort:
      status?.case === undefined
        ? undefined
        : { grpc, http, share: shareOf(abort?.percentage, "abort.percentage") },
    maxActive: maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
}
