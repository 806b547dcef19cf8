import type { DescMethod, Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../../../../core/codec/binary-to-message.ts";
import type { ReadReplies } from "../../../../core/call/batches.ts";
import { writeReply } from "../../../../core/call/write-reply.ts";
import { binaryToJson } from "../../../../core/codec/binary-to-json.ts";
import type { JsonWriteOptions } from "../../../../core/codec/message-to-json.ts";
import { toPayload } from "../../../binding/reply-encoder.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { StreamEncoder } from "./stream-encoding.ts";

/**
 * Compiles what prints the replies of a route's streams by an encoder: those that came together as one piece, without
 * building messages where that can be done. It throws for bytes that are no message of the output type.
 *
 * @param json options of the JSON writer, without indentation
 */
export function compilePieceReader(
  { responseField }: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): (encoder: StreamEncoder) => ReadReplies<string | Buffer> {
  const { output } = method;
  const decode = messageDecoder(output);
  const converter = binaryToJson(output, json, responseField);
  return (encoder) => {
    const { frame } = encoder;
    const print = (message: Message): string => encoder.message(message);
    return (batch) => {
      const piece = converter.convertPiece(batch.messages, batch.read, frame);
      if (piece === undefined) return writeReply(method, print, decode(batch.next()));
      batch.skip(piece.count);
      frame.printed(piece.count);
      return toPayload(piece.bytes);
    };
  };
}
