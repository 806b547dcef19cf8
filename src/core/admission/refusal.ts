import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { setHttpStatus } from "../errors/http-answer.ts";
import { refusalKindOf, setRefusalKind, type RefusalKind } from "../errors/refusal-kind.ts";

export { refusalKindOf, type RefusalKind };

/** What a refusal says. */
export interface RefusalInit {
  /** Label of the metric. */
  readonly kind: RefusalKind;
  readonly code: Code;
  /** HTTP status at REST and Connect where it is more specific than that of the code, such as 415. Default: that of the code. */
  readonly httpStatus?: number;
  /** `google.rpc.ErrorInfo.reason`, in capitals: `ACCESS_DENIED`. */
  readonly reason: string;
  /** For people: what is wrong, and what to do. Never repeats a credential. */
  readonly message: string;
  /** `google.rpc.ErrorInfo.metadata`. Default: none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Details behind the `ErrorInfo`, such as `RetryInfo`. Default: none. */
  readonly details?: ConnectError["details"];
  /** Response headers and metadata, such as `www-authenticate`. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** `google.rpc.ErrorInfo.domain` of all refusals. */
const domain = "ts-ms";

/** The error by which a gate refuses a call: every one has a `google.rpc.ErrorInfo` of the domain `ts-ms`. */
export function refusal({
  kind,
  code,
  httpStatus,
  reason,
  message,
  metadata = {},
  details = [],
  headers,
}: RefusalInit): ConnectError {
  const error = new ConnectError(message, code, headers);
  error.details = [{ desc: ErrorInfoSchema, value: { reason, domain, metadata } }, ...details];
  setRefusalKind(error, kind);
  if (httpStatus !== undefined) setHttpStatus(error, httpStatus);
  return error;
}

/** Why a gate has refused a call, by the code of an error that `refusal` has not made. */
export function refusalKindByCode(code: Code): RefusalKind {
  switch (code) {
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.ResourceExhausted:
      return "rate_limited";
    case Code.Unavailable:
      return "overload";
    case Code.InvalidArgument:
      return "malformed";
    default:
      return "denied";
  }
}
