import { create, type DescMessage, type JsonValue, type Message, ScalarType } from "@bufbuild/protobuf";
import {
  DurationSchema,
  FieldMaskSchema,
  ListValueSchema,
  NullValue,
  StructSchema,
  TimestampSchema,
  type ListValue,
  type Struct,
  type Value,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { parseFieldMask } from "./field-mask-text.ts";
import { fieldsOf, messageFactory, wrapped } from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { listReader, mapReader } from "./read-containers.ts";
import { scalarReader } from "./read-scalars.ts";
import { parseDuration, parseTimestamp, type TimeParts } from "./time-text.ts";

const quote = 0x22;

/**
 * The reader of a well-known type that has a JSON form of its own, except for `Any`; undefined for other messages.
 *
 * @see https://protobuf.dev/programming-guides/json/
 */
export function wellKnownReader(desc: DescMessage): ((cursor: JsonCursor) => Message) | undefined {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return timeReader(TimestampSchema, "an RFC 3339 timestamp of the years 1 to 9999", parseTimestamp);
    case "google.protobuf.Duration":
      return timeReader(DurationSchema, 'a duration in seconds such as "1.5s"', parseDuration);
    case "google.protobuf.FieldMask":
      return readFieldMask;
    case "google.protobuf.Struct":
      return readStruct;
    case "google.protobuf.Value":
      return readValue;
    case "google.protobuf.ListValue":
      return readListValue;
    default:
      return wrapperReader(desc);
  }
}

function timeReader(
  schema: typeof TimestampSchema | typeof DurationSchema,
  what: string,
  parse: (text: string) => TimeParts | undefined,
): (cursor: JsonCursor) => Message {
  const newTime = messageFactory(schema);
  return (cursor) => {
    const start = cursor.pos;
    if (cursor.text.charCodeAt(start) !== quote) cursor.expected(what);
    const parts = parse(cursor.readString());
    if (parts === undefined) return cursor.expected(what, start);
    const message = newTime();
    const fields = fieldsOf(message);
    fields["seconds"] = BigInt(parts.seconds);
    fields["nanos"] = parts.nanos;
    return message;
  };
}

function readFieldMask(cursor: JsonCursor): Message {
  const start = cursor.pos;
  const what = "field names in lowerCamelCase, separated by commas";
  if (cursor.text.charCodeAt(start) !== quote) cursor.expected(what);
  const paths = parseFieldMask(cursor.readString()) ?? cursor.expected(what, start);
  return create(FieldMaskSchema, { paths });
}

function wrapperReader(desc: DescMessage): ((cursor: JsonCursor) => Message) | undefined {
  const scalar = wrapped(desc);
  if (scalar === undefined) return undefined;
  const read = scalarReader(scalar);
  const newWrapper = messageFactory(desc);
  return (cursor) => {
    const message = newWrapper();
    fieldsOf(message)["value"] = read(cursor);
    return message;
  };
}

function readStruct(cursor: JsonCursor): Struct {
  const struct = create(StructSchema);
  struct.fields = readValues(cursor);
  return struct;
}

function readListValue(cursor: JsonCursor): ListValue {
  const list = create(ListValueSchema);
  list.values = readValueList(cursor);
  return list;
}

function readValue(cursor: JsonCursor): Value {
  return create(ValueSchema, { kind: readKind(cursor) });
}

function readKind(cursor: JsonCursor): Value["kind"] {
  switch (cursor.text[cursor.pos]) {
    case "{":
      return { case: "structValue", value: readStruct(cursor) };
    case "[":
      return { case: "listValue", value: readListValue(cursor) };
    case '"':
      return { case: "stringValue", value: cursor.readString() };
    case "t":
    case "f":
      return { case: "boolValue", value: readBoolean(cursor) };
    case "n":
      cursor.readWord("null");
      return { case: "nullValue", value: NullValue.NULL_VALUE };
    default:
      return { case: "numberValue", value: readFinite(cursor) };
  }
}

const readValues = mapReader(ScalarType.STRING, readValue);
const readValueList = listReader(readValue, true);

/** Reads a Struct as the plain object that fields of this type hold. */
export const readJsonObject: (cursor: JsonCursor) => Record<string, JsonValue> = mapReader(
  ScalarType.STRING,
  readJsonValue,
);
const readJsonArray = listReader(readJsonValue, true);

function readJsonValue(cursor: JsonCursor): JsonValue {
  switch (cursor.text[cursor.pos]) {
    case "{":
      return readJsonObject(cursor);
    case "[":
      return readJsonArray(cursor);
    case '"':
      return cursor.readString();
    case "t":
    case "f":
      return readBoolean(cursor);
    case "n":
      cursor.readWord("null");
      return null;
    default:
      return readFinite(cursor);
  }
}

function readBoolean(cursor: JsonCursor): boolean {
  const value = cursor.text[cursor.pos] === "t";
  cursor.readWord(value ? "true" : "false");
  return value;
}

function readFinite(cursor: JsonCursor): number {
  const start = cursor.pos;
  const value = cursor.readNumber();
  if (!Number.isFinite(value)) cursor.expected("a number in the range of a double", start);
  return value;
}
