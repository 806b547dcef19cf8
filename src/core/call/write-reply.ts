import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import { isReplyTooLarge } from "../errors/reply-too-large.ts";
import { rpcName } from "./service.ts";

/** Makes what is sent of a reply. What it throws ends the call, so that logs and metrics know of it. */
export type WriteReply<T> = (reply: Message) => T;

/**
 * What `write` makes of a reply; the reply itself without.
 *
 * @throws ConnectError INTERNAL without a text for clients, whose cause names the rpc and what is wrong, where the
 *   reply cannot be written; errors of other codes and those of `replyTooLarge` as they are
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

/** Whether the text of an error may leave the process: INTERNAL otherwise says what is wrong inside the reply. */
function isForClients(error: ConnectError): boolean {
  return error.code !== Code.Internal || isReplyTooLarge(error);
}
