import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { Admit } from "../../admission/admission.ts";
import type { Handler } from "../../call/handler.ts";
import { messageDecoder } from "../../codec/binary-to-message.ts";
import { madeOnce } from "../../codec/shared-message.ts";
import { rpcName } from "../../call/service.ts";
import { checkedBinaryWriter } from "../../codec/message-to-binary.ts";
import { replyTooLarge } from "../../errors/reply-too-large.ts";

/** What all calls of one rpc share. */
export interface ServedRpc {
  readonly handler: Handler;
  /** Asks the gates of the rpc; undefined where there are none. */
  readonly admit: Admit | undefined;
  /** Decodes a request; throws for malformed bytes. */
  readonly read: (bytes: Uint8Array) => Message;
  /**
   * The bytes of a reply.
   *
   * @throws TypeError or Error for a message with invalid values; ConnectError INTERNAL for one that is too large
   */
  readonly write: (reply: Message) => Uint8Array;
}

/**
 * An rpc with its messages in protobuf.
 *
 * @param maxSendBytes Largest message to send, in bytes; -1 for any.
 * @param admit Asks the gates of the rpc; undefined where there are none.
 */
export function servedRpc(
  method: DescMethod,
  handler: Handler,
  maxSendBytes: number,
  admit: Admit | undefined,
): ServedRpc {
  const { input, output } = method;
  const limited = (bytes: Uint8Array): Uint8Array => {
    if (maxSendBytes >= 0 && bytes.byteLength > maxSendBytes) {
      const text = `answered with ${bytes.byteLength} bytes, allowed are ${maxSendBytes}`;
      throw replyTooLarge(`${rpcName(method)} ${text}`);
    }
    return bytes;
  };
  if (handler.bytes !== undefined) {
    // Such a handler takes and gives bytes where others have messages.
    const read = (bytes: Uint8Array): Message => bytes as unknown as Message;
    const write = (reply: Message): Uint8Array => limited(reply as unknown as Uint8Array);
    return { handler: handler.bytes, admit, read, write };
  }
  const encode = checkedBinaryWriter(output);
  return {
    handler,
    admit,
    read: messageDecoder(input),
    write: madeOnce("protobuf", (reply) => limited(encode(reply))),
  };
}
