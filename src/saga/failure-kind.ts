import { Code, type ConnectError } from "../core/errors/errors.ts";

/** Codes after which the same call may succeed later. Any other code will come again, however often it is tried. */
const retried: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Canceled,
  Code.Unknown,
  Code.Internal,
  Code.Unimplemented,
]);

/** Codes that say that the call has had no effect and never will. A service's own codes above 16 count as UNKNOWN. */
const permanent: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.DataLoss,
]);

/** All codes that are tried again. */
export const retriedCodes: readonly Code[] = [...retried];

/** Whether trying again cannot help. */
export function isPermanent({ code }: ConnectError): boolean {
  return permanent.has(code);
}
