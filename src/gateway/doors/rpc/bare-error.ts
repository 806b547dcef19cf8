import { ConnectError } from "../../../core/errors/errors.ts";

/** A copy of `error` with its code, message and details, but without its metadata, which is sent separately. */
export function withoutMetadata(
  error: ConnectError,
  message: string = error.rawMessage.toWellFormed(),
): ConnectError {
  const copy = new ConnectError(message, error.code);
  copy.details = error.details;
  return copy;
}
