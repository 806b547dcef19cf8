import type { DescMethod } from "@bufbuild/protobuf";
import { messageDecoder } from "../../core/codec/binary-to-message.ts";
import { writeReply } from "../../core/call/write-reply.ts";
import { binaryToJson } from "../../core/codec/binary-to-json.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import { jsonTextEncoder } from "../binding/reply-encoder.ts";
import type { Route } from "../../core/http-rule/route.ts";

/**
 * Compiles what prints one reply of a stream, in binary form, as JSON text: without building a message where that can
 * be done. It throws for bytes that are no message of the output type, and as `writeReply`.
 */
export function compileReplyText(
  route: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): (reply: Uint8Array) => string {
  const { output } = method;
  const decode = messageDecoder(output);
  const print = jsonTextEncoder(route, method, json);
  const converter = binaryToJson(output, json, route.responseField);
  return (reply) => converter.convertDirectly(reply)?.toString() ?? writeReply(method, print, decode(reply));
}
