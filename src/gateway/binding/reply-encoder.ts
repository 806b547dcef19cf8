import {
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { binaryToJson } from "../../core/codec/binary-to-json.ts";
import { jsonWriter, type JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import { asBuffer } from "../../core/codec/scratch.ts";
import type { Route } from "../routing/route.ts";

/** Makes the body of a good reply from its message. Throws INTERNAL for messages that cannot be written. */
export type ReplyEncoder = (message: Message) => string | Buffer;

/** What a reply's bytes become: its body at once, or the message where the way to the body is over the message. */
export type ReplyReader = (reply: Uint8Array) => string | Buffer | Message;

/** Node sends a text in one piece with the head, which is worth more than the conversion where the text is small. */
const smallBytes = 2048;

function toPayload(json: Buffer): string | Buffer {
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

/** Encodes the messages of a route as JSON text, as streams need it. */
export function jsonTextEncoder(
  { responseField }: Route,
  { output }: DescMethod,
  json: Partial<JsonWriteOptions>,
): (message: Message) => string {
  const writer = jsonWriter(output, json);
  return responseField === undefined
    ? (message) => writer.write(message)
    : (message) => writer.writeField(responseField, message);
}

/** Encodes the replies of a route as protobuf; undefined where the body is a field that is no message. */
export function binaryEncoder(
  { responseField }: Route,
  { output }: DescMethod,
): ((message: Message) => Buffer) | undefined {
  if (responseField === undefined) return (message) => asBuffer(toBinary(output, message));
  if (responseField.fieldKind !== "message") return undefined;
  const { message: type } = responseField;
  // Reflection knows the forms that wrappers and Struct have inside of messages.
  return (message) => asBuffer(toBinary(type, reflect(output, message).get(responseField).message));
}

/**
 * Readers of the replies of a route, by the form of the reply's body. They throw for bytes that are no message of the
 * output's type.
 *
 * @param json how JSON is written; undefined where that needs the message
 */
export function replyReaders(
  { responseField }: Route,
  { output }: DescMethodUnary,
  json: Partial<JsonWriteOptions> | undefined,
): { readonly json: ReplyReader; readonly binary: ReplyReader } {
  const decode = decoder(output);
  if (responseField !== undefined) return { json: decode, binary: decode };
  const converter = json && binaryToJson(output, json);
  return {
    json: (reply) => {
      const bytes = converter?.convertDirectly(reply);
      return bytes === undefined ? decode(reply) : toPayload(bytes);
    },
    binary: (reply) => {
      decode(reply); // What is malformed goes to nobody.
      return asBuffer(reply);
    },
  };
}

function decoder(schema: DescMessage): (bytes: Uint8Array) => Message {
  // Fields of type bytes are views of the same kind, and a Buffer is not what the types promise.
  return ({ buffer, byteOffset, byteLength }) =>
    fromBinary(schema, new Uint8Array(buffer, byteOffset, byteLength));
}
