import { Code, ConnectError } from "./errors.ts";

const known = new WeakSet<ConnectError>();

/**
 * The error of a call whose reply is larger than we take: INTERNAL, as it is the fault of the service and nothing that
 * its caller could do less of. Only clients of `dial` see it otherwise.
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

/** An error as the client sees it who has set the limit: by the rule of gRPC, RESOURCE_EXHAUSTED for such a reply. */
export function asClientSees(reason: unknown): unknown {
  if (!(reason instanceof ConnectError) || !isReplyTooLarge(reason)) return reason;
  return new ConnectError(reason.rawMessage, Code.ResourceExhausted, reason.metadata);
}
