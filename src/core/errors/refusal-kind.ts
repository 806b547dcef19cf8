import type { ConnectError } from "@connectrpc/connect";

/** Why a call was refused before its handler, as the metric `ts_ms_calls_refused_total` labels it. */
export type RefusalKind =
  | "unauthenticated"
  | "denied"
  | "rate_limited"
  | "overload"
  | "validation"
  | "csrf"
  | "signature"
  | "replay"
  | "authorizer"
  | "malformed"
  | "no_route"
  | "draining";

const kinds = new WeakMap<ConnectError, RefusalKind>();

/** Records why a call was refused, on the error by which it was. */
export function setRefusalKind(error: ConnectError, kind: RefusalKind): void {
  kinds.set(error, kind);
}

/** Why a call was refused; undefined for an error of another origin. */
export function refusalKindOf(error: ConnectError): RefusalKind | undefined {
  return kinds.get(error);
}
