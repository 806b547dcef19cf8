import { Code } from "./errors.ts";

/** HTTP statuses of the codes 0 to 16, by number (google/rpc/code.proto, "HTTP Mapping"). */
const statusByCode: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** The HTTP status of a REST reply that ended with `code` (0 is OK); 500 for numbers without a meaning. */
export function httpStatusOf(code: number): number {
  return statusByCode[code] ?? 500;
}

/**
 * The code of a refusal with this HTTP status, for refusals by the engine below the gateway, which have only a status.
 */
export function codeOfHttpStatus(status: number): Code {
  const code = codeByStatus.get(status);
  if (code !== undefined) return code;
  if (status >= 500) return Code.Internal;
  return status >= 400 ? Code.FailedPrecondition : Code.Unknown;
}

// The statuses that Google's REST clients know, and those that the gateway itself answers with.
const codeByStatus: ReadonlyMap<number, Code> = new Map([
  [400, Code.InvalidArgument],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.NotFound],
  [405, Code.Unimplemented],
  [406, Code.InvalidArgument],
  [408, Code.DeadlineExceeded],
  [409, Code.Aborted],
  [413, Code.ResourceExhausted],
  [414, Code.InvalidArgument],
  [415, Code.InvalidArgument],
  [416, Code.OutOfRange],
  [417, Code.InvalidArgument],
  [421, Code.InvalidArgument],
  [429, Code.ResourceExhausted],
  [431, Code.ResourceExhausted],
  [499, Code.Canceled],
  [501, Code.Unimplemented],
  [503, Code.Unavailable],
  [504, Code.DeadlineExceeded],
  [505, Code.Unimplemented],
]);
