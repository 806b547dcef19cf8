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
