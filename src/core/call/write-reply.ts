import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import { isReplyTooLarge } from "../errors/reply-too-large.ts";
import { rpcName } from "./service.ts";

/** Turns a reply into what is sent. An exception of it fails the call, so that logs and metrics record the failure. */
export type WriteReply<T> = (reply: Message) => T;

/**
 * The result of `write` for a reply, or the reply if there is no `write`.
 *
 * @throws ConnectError INTERNAL, without a text for clients and with a cause that names the rpc and the problem, if the
 *   reply cannot be written; errors of other codes and those of `replyTooLarge` unchanged
 */
export function writeReply<T>(method: DescMethod, write: WriteReply<T> | undefined, reply: Message): T {
  if (write === undefined) return reply as T; // A T is a message then.
  try {
    return write(reply);
  } catch (reason) {
    if (reason instanceof ConnectError && isForClients(reason)) throw reason;
    const problem = reason instanceof ConnectError ? reason.rawMessage : String(reason);
    const text = `${rpcName(method)} gave a reply that cannot be sent: ${problem}`;
    throw toCallError(new TypeError(text, { cause: reason }));
  }
}

/**
 * Whether the text of an error may be sent to clients. The text of other INTERNAL errors describes the content of the
 * reply.
 */
function isForClients(error: ConnectError): boolean {
  return error.code !== Code.Internal || isReplyTooLarge(error);
}
