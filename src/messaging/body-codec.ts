import type { DescMessage, Message, Registry } from "@bufbuild/protobuf";
import { messageDecoder } from "../core/codec/binary-to-message.ts";
import { binaryCheck } from "../core/codec/binary-check.ts";
import { messageFactory } from "../core/codec/field-shape.ts";
import { jsonToBinary } from "../core/codec/json-to-binary.ts";
import { jsonReader } from "../core/codec/json-to-message.ts";
import { jsonReadDefaults, type JsonReadOptions } from "../core/codec/json-trace.ts";
import { binaryWriter } from "../core/codec/message-to-binary.ts";
import { jsonWriter } from "../core/codec/message-to-json.ts";
import { toCallError } from "../core/errors/errors.ts";
import { gzip } from "../core/wire/codings/gzip.ts";
import type { EventData } from "./event-attributes.ts";
import { isJsonType } from "./structured-event.ts";

/** How the bodies that are published are written. */
export type BodyEncoding = "protobuf" | "json";

/** What stands before the message in a body: nothing, or what the serializers of Confluent put there. */
export type BodyFraming = "none" | "confluent";

/** What bodies may be. */
export interface BodyOptions {
  /** The most bytes of a body, after decompression. */
  readonly maxMessageBytes: number;
  readonly framing: BodyFraming;
  /** As of the REST door: unknown members of JSON, depth, types of `google.protobuf.Any`. */
  readonly json?: Partial<JsonReadOptions>;
}

/** What a body says, or why it cannot be read; `why` is for people, and has no full stop. */
export type DecodedBody<T> =
  | { readonly kind: "message"; readonly value: T }
  | { readonly kind: "undecodable" | "too-large"; readonly why: string };

/** Reads the bodies of one type of messages, by the rules of the REST door. */
export interface BodyReader {
  readonly schema: DescMessage;
  readonly toMessage: (bytes: Uint8Array, isJson: boolean) => Message;
  readonly toBytes: (bytes: Uint8Array, isJson: boolean) => Uint8Array;
}

const protobufTypes: ReadonlySet<string> = new Set([
  "application/protobuf",
  "application/x-protobuf",
  "application/vnd.google.protobuf",
  "application/proto",
]);

/** What a content type says of a body. */
interface BodyType {
  readonly isJson: boolean;
  /** Whether bodies of it can be read. */
  readonly isKnown: boolean;
  /** Whether there is one. */
  readonly isStated: boolean;
}

/** By the content types as they come, so that each is looked at once. */
const bodyTypes = new Map<string, BodyType>();
/** Senders choose them: so many are kept. */
const mostBodyTypes = 100;
const noType: BodyType = { isJson: false, isKnown: true, isStated: false };

function contentTypeOf(contentType: string | undefined): BodyType {
  if (contentType === undefined) return noType;
  const known = bodyTypes.get(contentType);
  if (known !== undefined) return known;
  const isJson = isJsonType(contentType);
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const made = { isJson, isKnown: isJson || type === "" || protobufTypes.has(type), isStated: true };
  if (bodyTypes.size < mostBodyTypes) bodyTypes.set(contentType, made);
  return made;
}

const openBrace = 0x7b;
const nothing = new Uint8Array(0);

/** Compiles the reader of a type of messages. */
export function bodyReader(
  schema: DescMessage,
  options: Partial<JsonReadOptions> = jsonReadDefaults,
): BodyReader {
  const json = jsonReader(schema, options);
  const converter = jsonToBinary(schema, options);
  const isMessage = binaryCheck(schema);
  const empty = messageFactory(schema);
  const decode = messageDecoder(schema);
  return {
    schema,
    toMessage: (bytes, isJson) =>
      isJson ? json.readBytes(bytes) : bytes.length === 0 ? empty() : decode(bytes),
    toBytes(bytes, isJson) {
      if (isJson) return converter.convert(bytes);
      if (!isMessage(bytes)) decode(bytes); // Throws for bytes that are no message.
      return bytes;
    },
  };
}

/**
 * Reads the message in a body. Never throws; only bodies that are compressed need a promise.
 *
 * Without a content type a body is JSON if it begins with `{`, which no protobuf message begins with, and protobuf
 * otherwise.
 */
export function decodeBody(
  reader: BodyReader,
  data: EventData,
  options: BodyOptions,
): DecodedBody<Message> | Promise<DecodedBody<Message>> {
  return opened(data, options, reader.toMessage);
}

/** As `decodeBody`, for callees that take the protobuf form: that is passed on as it is, and JSON converted to it. */
export function decodeBodyBytes(
  reader: BodyReader,
  data: EventData,
  options: BodyOptions,
): DecodedBody<Uint8Array> | Promise<DecodedBody<Uint8Array>> {
  return opened(data, options, reader.toBytes);
}

/** The body of a message that is published. */
export function encodeBody(
  schema: DescMessage,
  message: Message,
  encoding: BodyEncoding,
  registry?: Registry,
): { readonly contentType: string; readonly body: Uint8Array } {
  if (encoding === "protobuf")
    return { contentType: "application/protobuf", body: binaryWriter(schema)(message) };
  const writer = jsonWriter(schema, registry === undefined ? {} : { registry });
  return { contentType: "application/json", body: writer.writeBytes(message) };
}

function opened<T>(
  { contentType, contentEncoding, body = nothing }: EventData,
  options: BodyOptions,
  read: (bytes: Uint8Array, isJson: boolean) => T,
): DecodedBody<T> | Promise<DecodedBody<T>> {
  const { maxMessageBytes } = options;
  if (body.length > maxMessageBytes) {
    return tooLarge(`its body has ${body.length} bytes: ${maxMessageBytes} are allowed`);
  }
  switch (contentEncoding?.toLowerCase()) {
    case undefined:
    case "":
    case "identity":
      return framed(contentType, body, options, read);
    case "gzip":
    case "x-gzip":
      return gzip.decompress(body, maxMessageBytes).then(
        (bytes) => framed(contentType, bytes, options, read),
        (reason: unknown) =>
          reason instanceof RangeError
            ? tooLarge(`its body has more than ${maxMessageBytes} bytes when it is decompressed`)
            : undecodable("its body is no gzip"),
      );
    default:
      return undecodable(`its content encoding is ${quoted(contentEncoding)}: gzip can be read`);
  }
}

function framed<T>(
  contentType: string | undefined,
  body: Uint8Array,
  { framing }: BodyOptions,
  read: (bytes: Uint8Array, isJson: boolean) => T,
): DecodedBody<T> {
  const { isJson, isKnown, isStated } = contentTypeOf(contentType);
  if (!isKnown) {
    return undecodable(
      `its content type is ${quoted(contentType)}: application/protobuf and JSON can be read`,
    );
  }
  const start = framing === "confluent" ? behindFrame(body, isJson) : 0;
  if (typeof start === "string") return undecodable(start);
  const bytes = start === 0 ? body : body.subarray(start);
  try {
    const looksLikeJson = !isStated && bytes[0] === openBrace;
    return { kind: "message", value: read(bytes, isJson || looksLikeJson) };
  } catch (reason) {
    const error = toCallError(reason);
    return undecodable(reason === error ? error.rawMessage : messageOf(reason));
  }
}

/** Where the message begins behind magic byte, schema id and, of protobuf, the path of the message in its schema. */
function behindFrame(body: Uint8Array, isJson: boolean): number | string {
  if (body[0] !== 0)
    return `its first byte is ${body[0] ?? "missing"}: the magic byte of the framing confluent is 0`;
  if (body.length < 5) return "its body ends in the schema id of the framing confluent";
  if (isJson || body[5] === openBrace) return 5;
  let at = 5;
  const [count, next] = takeZigzag(body, at);
  at = next;
  for (let left = count; left > 0 && at <= body.length; left--) [, at] = takeZigzag(body, at);
  return at > body.length || count < 0 ? "its body ends in the message index of the framing confluent" : at;
}

/** A zigzag varint, and where it ends: behind the body if that ends before. */
function takeZigzag(body: Uint8Array, start: number): [value: number, end: number] {
  let value = 0;
  for (let at = start, scale = 1; scale <= 2 ** 28; at++, scale *= 128) {
    const byte = body[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value % 2 === 0 ? value / 2 : -(value + 1) / 2, at + 1];
  }
  return [0, body.length + 1];
}

function undecodable(why: string): { kind: "undecodable"; why: string } {
  return { kind: "undecodable", why };
}

function tooLarge(why: string): { kind: "too-large"; why: string } {
  return { kind: "too-large", why };
}

function quoted(text: string | undefined): string {
  return JSON.stringify((text ?? "").slice(0, 80));
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? `its body is no message: ${reason.message}` : "its body is no message";
}
