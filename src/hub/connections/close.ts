import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Code, ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { retryInfo } from "../../core/errors/retry-info.ts";

/** How connections are closed. */
export interface CloseOptions {
  /** For the client. Default: `the connection was closed by the server`. */
  readonly reason?: string;
  /** Whether the client should come back: UNAVAILABLE with `RetryInfo`, else PERMISSION_DENIED. Default: true. */
  readonly reconnect?: boolean;
  /** How long the users and addresses of the selector are refused, in milliseconds. Default: 0. */
  readonly refuseMs?: number;
}

/** What has become of the selected connections. */
export interface HubOutcome {
  /** How many were selected. */
  readonly selected: number;
  /** Of these, those for which it was done. */
  readonly done: number;
  /** Those for which it could not be done: they had ended. */
  readonly failed: number;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

const leastRetryMs = 1_000;
const mostRetryMs = 5_000;

/** When a client that is sent away comes back, in milliseconds: at random, so that not all come at once. */
export function retryMs(random: () => number): number {
  return leastRetryMs + random() * (mostRetryMs - leastRetryMs);
}

/** `CloseOptions` with their defaults. @throws ConnectError INVALID_ARGUMENT */
export function closeOptions(options: CloseOptions): Required<CloseOptions> {
  const { reason = "the connection was closed by the server", reconnect = true, refuseMs = 0 } = options;
  if (!(refuseMs >= 0)) throw invalidArgument(`refuseMs: ${refuseMs} is no time in milliseconds`);
  return { reason, reconnect, refuseMs };
}

/** The error with which a connection is closed, one for each: doors add metadata to errors. */
export function closeError(
  { reason, reconnect }: Pick<Required<CloseOptions>, "reason" | "reconnect">,
  afterMs: number,
) {
  const error = new ConnectError(reason, reconnect ? Code.Unavailable : Code.PermissionDenied);
  error.details = reconnect
    ? [retryInfo(afterMs)]
    : [{ desc: ErrorInfoSchema, value: { reason: "CLOSED", domain: "ts-ms" } }];
  return error;
}
