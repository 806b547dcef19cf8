import { ConnectError } from "../../../core/errors/errors.ts";

/** An error with the code, message and details of `error` alone: its metadata goes another way. */
export function withoutMetadata(
  error: ConnectError,
  message: string = error.rawMessage.toWellFormed(),
): ConnectError {
  const copy = new ConnectError(message, error.code);
  copy.details = error.details;
  return copy;
}
