import type { Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../../../core/codec/binary-to-message.ts";
import { binaryToJson } from "../../../core/codec/binary-to-json.ts";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import { writeReply } from "../../../core/call/write-reply.ts";
import type { FaceRpc } from "../face-call.ts";
import { shownMessage, type Shows } from "../shown-message.ts";

/** Writes the replies of an rpc in JSON, on one line. */
export interface ReplyText {
  /** From a message. */
  readonly write: (reply: Message) => string;
  /** From its protobuf bytes. Throws for bytes that are no reply. */
  readonly read: (reply: Uint8Array) => string;
}

/** Compiles it. */
export function replyText({ method, json }: FaceRpc, shows: Shows): ReplyText {
  const { output } = method;
  const form = { ...json, indent: 0 };
  const visible = shownMessage(output, shows);
  const writer = jsonWriter(visible, form);
  const converter = binaryToJson(visible, form);
  const decode = messageDecoder(output);
  const write = (reply: Message): string => writer.write(reply);
  return {
    write,
    read: (reply) =>
      converter.convertDirectly(reply)?.toString("utf8") ?? writeReply(method, write, decode(reply)),
  };
}
