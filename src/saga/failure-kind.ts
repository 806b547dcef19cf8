import { Code, type ConnectError } from "../core/errors/errors.ts";

/**
 * Codes that say that the call has had no effect and never will. All others may come of a failure that passes: UNAVAILABLE,
 * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, CANCELLED, UNKNOWN, INTERNAL, UNIMPLEMENTED, and a service's own codes
 * above 16.
 */
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

/** Whether trying again cannot help. */
export function isPermanent({ code }: ConnectError): boolean {
  return permanent.has(code);
}
