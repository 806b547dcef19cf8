import { Code, ConnectError } from "./errors.ts";

const known = new WeakSet<ConnectError>();

/**
 * The error of a call whose reply exceeds our limit: INTERNAL and not RESOURCE_EXHAUSTED, since the service is at fault
 * and the client has used up nothing. Only clients of `dial` get another code, see `asClientSees`.
 */
export function replyTooLarge(text: string): ConnectError {
  const error = new ConnectError(text, Code.Internal);
  known.add(error);
  return error;
}

/** Whether an error was made by `replyTooLarge`, whose text is for clients although it is INTERNAL. */
export function isReplyTooLarge(error: ConnectError): boolean {
  return known.has(error);
}

/**
 * The error as a client of `dial` gets it, which has set the limit itself: RESOURCE_EXHAUSTED for a reply that is too
 * large, as gRPC specifies. Other errors are returned unchanged.
 */
export function asClientSees(reason: unknown): unknown {
  if (!(reason instanceof ConnectError) || !isReplyTooLarge(reason)) return reason;
  return new ConnectError(reason.rawMessage, Code.ResourceExhausted, reason.metadata);
}
