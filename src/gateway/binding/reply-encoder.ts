import type { DescMethod, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { messageDecoder } from "../../core/codec/binary-to-message.ts";
import { madeOnce } from "../../core/codec/shared-message.ts";
import { binaryCheck } from "../../core/codec/binary-check.ts";
import { binaryToJson } from "../../core/codec/binary-to-json.ts";
import { binaryWriter } from "../../core/codec/message-to-binary.ts";
import { jsonWriter, type JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import { asBuffer } from "../../core/codec/scratch.ts";
import type { Route } from "../../core/http-rule/route.ts";

/**
 * Converts the message of a successful reply to the response body. Throws INTERNAL for messages that cannot be encoded.
 */
export type ReplyEncoder = (message: Message) => string | Buffer;

/**
 * Converts the protobuf bytes of a reply to the response body, or to the message if the body can only be made from the
 * message.
 */
export type ReplyReader = (reply: Uint8Array) => string | Buffer | Message;

/**
 * Limit below which JSON is sent as a string: Node writes a string together with the head, which saves more than the
 * conversion costs for small bodies.
 */
const smallBytes = 2048;

/** JSON as it is written to a connection. */
export function toPayload(json: Buffer): string | Buffer {
  return json.length <= smallBytes ? json.toString() : json;
}

/** Encodes the replies of a route as JSON. */
export function jsonEncoder(
  { responseField }: Route,
  { output }: DescMethod,
  json: Partial<JsonWriteOptions>,
): ReplyEncoder {
  const writer = jsonWriter(output, json);
  return responseField === undefined
    ? (message) => toPayload(writer.writeBytes(message))
    : (message) => writer.writeField(responseField, message);
}

/** Encodes messages as JSON text. */
type TextEncoder = (message: Message) => string;

/** The encoders of streams, by what they are made of. */
const textEncoders = new WeakMap<object, WeakMap<DescMethod, Map<Route["responseField"], TextEncoder>>>();

/**
 * Encodes the messages of a route as JSON text, for streams. It is the same function for all doors with the same options,
 * so that a message that many calls send is written once for all of them.
 */
export function jsonTextEncoder(
  { responseField }: Route,
  method: DescMethod,
  json: Partial<JsonWriteOptions>,
): TextEncoder {
  let methods = textEncoders.get(json);
  if (methods === undefined) textEncoders.set(json, (methods = new WeakMap()));
  let encoders = methods.get(method);
  if (encoders === undefined)
    methods.set(method, (encoders = new Map<Route["responseField"], TextEncoder>()));
  let encoder = encoders.get(responseField);
  if (encoder === undefined) {
    const writer = jsonWriter(method.output, json);
    encoder = madeOnce(
      "json",
      responseField === undefined
        ? (message) => writer.write(message)
        : (message) => writer.writeField(responseField, message),
    );
    encoders.set(responseField, encoder);
  }
  return encoder;
}

/** Encodes the replies of a route as protobuf; undefined if the body is a field that is no message. */
export function binaryEncoder(
  { responseField }: Route,
  { output }: DescMethod,
): ((message: Message) => Buffer) | undefined {
  if (responseField === undefined) {
    const write = binaryWriter(output);
    return (message) => asBuffer(write(message));
  }
  if (responseField.fieldKind !== "message") return undefined;
  const write = binaryWriter(responseField.message);
  // Reflection handles the special representation of wrappers and Struct in messages.
  return (message) => asBuffer(write(reflect(output, message).get(responseField).message));
}

/** Compiles the reader of replies whose body is JSON. It throws for bytes that are no message of the output type. */
export function jsonReader(
  { responseField }: Route,
  { output }: DescMethod,
  json: Partial<JsonWriteOptions>,
): ReplyReader {
  const decode = messageDecoder(output);
  const converter = binaryToJson(output, json, responseField);
  return (reply) => {
    const bytes = converter.convertDirectly(reply);
    return bytes === undefined ? decode(reply) : toPayload(bytes);
  };
}

/** As `jsonReader`, where the body is protobuf. */
export function binaryReader({ responseField }: Route, { output }: DescMethod): ReplyReader {
  const decode = messageDecoder(output);
  if (responseField !== undefined) return decode;
  const isReply = binaryCheck(output);
  return (reply) => {
    if (!isReply(reply)) decode(reply); // Throws for malformed bytes, which must not reach the client.
    return asBuffer(reply);
  };
}
