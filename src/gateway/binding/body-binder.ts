import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { messageDecoder } from "../../core/codec/binary-to-message.ts";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { hasOwnJsonForm, messageFactory, setField } from "../../core/codec/field-shape.ts";
import { decodeUtf8, jsonReader, type JsonReadOptions } from "../../core/codec/json-to-message.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import type { Route } from "../../core/http-rule/route.ts";
import { messageAt, pathName } from "./field-path.ts";

/** Converts the body of a request to the request message; compiled once for a route. */
export interface BodyBinder {
  /** The message of a request without a body. */
  empty(): Message;
  /** Reads a non-empty JSON text or its UTF-8 bytes. Throws INVALID_ARGUMENT with proto paths. */
  fromJson(json: string | Uint8Array): Message;
  /** Reads a non-empty binary protobuf body. Throws INVALID_ARGUMENT. */
  fromBinary(body: Uint8Array | string): Message;
}

/** Options of `compileBodyBinder`. */
export interface BodyBinderOptions {
  /** A body of a request whose rule has no `body`: ignored, or rejected. Default `ignore`. */
  readonly unexpectedBody: "ignore" | "reject";
  readonly json: Partial<JsonReadOptions>;
}

/** Compiles the binder for the bodies of a route: a body is the whole request, one field of it, or not bound. */
export function compileBodyBinder(
  route: Pick<Route, "method" | "bodyField">,
  options: BodyBinderOptions,
): BodyBinder {
  const { input } = route.method;
  const empty = messageFactory(input);
  if (route.bodyField === undefined) return noBody(empty, options.unexpectedBody);
  if (route.bodyField === "*") return wholeBody(input, empty, options);
  return fieldBody(input, route.bodyField, empty, options);
}

/** The text of a JSON body, without a byte order mark. Throws INVALID_ARGUMENT for invalid UTF-8. */
export function bodyText(body: Uint8Array | string): string {
  if (typeof body !== "string") return decodeUtf8(body);
  return body.charCodeAt(0) === 0xfeff ? body.slice(1) : body;
}

function noBody(empty: () => Message, unexpected: "ignore" | "reject"): BodyBinder {
  const skip = (): Message => {
    if (unexpected === "reject") throw invalidArgument("this method takes no request body");
    return empty();
  };
  return { empty, fromJson: skip, fromBinary: skip };
}

function wholeBody(schema: DescMessage, empty: () => Message, options: BodyBinderOptions): BodyBinder {
  const reader = jsonReader(schema, options.json);
  return {
    empty,
    fromJson: (json) => (typeof json === "string" ? reader.read(json) : reader.readBytes(json)),
    fromBinary: (bytes) => readBinary(schema, bytes),
  };
}

function fieldBody(
  schema: DescMessage,
  path: readonly DescField[],
  empty: () => Message,
  options: BodyBinderOptions,
): BodyBinder {
  const field = path.at(-1);
  if (field === undefined) throw new TypeError("the path of a body field has at least one field");
  const parents = path.slice(0, -1);
  const prefix = parents.length === 0 ? "" : `${pathName(parents)}.`;
  const takesNull = field.message?.typeName === ValueSchema.typeName;
  const reader = jsonReader(schema, withPrefix(options.json, prefix));
  const readDirectly = directReader(field, options);
  const read = (text: string): Message => {
    const message = empty();
    // `null` means an unset field: then the messages that contain it are not set either.
    const unset = parents.length > 0 && !takesNull && text.trim() === "null";
    reader.readField(field, text, unset ? create(field.parent) : messageAt(message, parents));
    return message;
  };
  const readText = prefix === "" ? read : (text: string) => withPaths(prefix, () => read(text));
  return {
    empty,
    fromJson: (json) => {
      if (typeof json === "string") return readText(json);
      const value = readDirectly?.(json);
      if (value === undefined) return readText(decodeUtf8(json));
      const message = empty();
      setField(messageAt(message, parents), field, value);
      return message;
    },
    fromBinary: (bytes) => {
      if (field.fieldKind !== "message") {
        throw invalidArgument(
          `a binary body has to be a message, and ${prefix}${field.name} is none: send JSON`,
        );
      }
      const value = readBinary(field.message, bytes);
      const message = empty();
      // Reflection handles the special representation of wrappers and Struct in messages.
      reflect(field.parent, messageAt(message, parents)).set(field, reflect(field.message, value));
      return message;
    },
  };
}

/** What reads the value of a field at once where it is an object of its fields; undefined for all other fields. */
function directReader(
  field: DescField,
  { json }: BodyBinderOptions,
): ((json: Uint8Array) => Message | undefined) | undefined {
  if (field.fieldKind !== "message" || hasOwnJsonForm(field.message)) return undefined;
  const reader = jsonReader(field.message, json);
  return (bytes) => reader.readDirectly(bytes);
}

function readBinary(schema: DescMessage, bytes: Uint8Array | string): Message {
  if (typeof bytes === "string") throw new TypeError("a binary body has to come as bytes");
  try {
    return messageDecoder(schema)(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "malformed bytes";
    throw invalidArgument(`the body is no binary ${schema.typeName}: ${reason}`);
  }
}

/** Reports unknown members with their path in the whole request. */
function withPrefix(json: Partial<JsonReadOptions>, prefix: string): Partial<JsonReadOptions> {
  const report = json.onUnknownField;
  if (report === undefined || prefix === "") return json;
  return { ...json, onUnknownField: (path) => report(prefix + path) };
}

/**
 * The reader of a nested field reports paths relative to that field: adds the prefix that makes them relative to the
 * request.
 */
function withPaths(prefix: string, read: () => Message): Message {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const violations = error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description }) => ({ field: prefix + field, description }));
    throw violations.length === 0 ? error : invalidArgument(prefix + error.rawMessage, violations);
  }
}
