import { create, type DescField, type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  FieldMaskSchema,
  ListValueSchema,
  type Struct,
  StructSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { fieldsOf, localShape, wrapped } from "../../core/codec/field-shape.ts";
import { jsonReader } from "../../core/codec/json-to-message.ts";
import { parseDuration, parseTimestamp, type TimeParts } from "../../core/codec/time-text.ts";
import { parseGoDuration } from "./go-duration.ts";
import { enumParser, scalarParser, type TextParser } from "./scalar-text.ts";
import { textFormDefaults, type TextForms } from "./text-forms.ts";

/**
 * The parser for the values of a field, or for one element of a list or map field; undefined for a message without a
 * text form. Values are parsed as specified for query parameters and path variables (transcoding between HTTP and
 * gRPC): stricter than the JSON mapping for numbers, laxer for booleans, enums by name and number, well-known types in
 * the form of their JSON string, wrappers as the value that they wrap, `Struct`, `Value` and `ListValue` as JSON text.
 */
export function textParser(field: DescField, forms: TextForms = textFormDefaults): TextParser | undefined {
  if (field.message !== undefined) return messageParser(field, forms);
  if (field.enum !== undefined) return enumParser(field.enum, forms);
  return scalarParser(field.scalar, field.fieldKind !== "map" && field.longAsString);
}

const jsonForms: ReadonlySet<string> = new Set(
  [TimestampSchema, DurationSchema, FieldMaskSchema, StructSchema, ValueSchema, ListValueSchema].map(
    ({ typeName }) => typeName,
  ),
);

/** Whether values of a message type are written as one text instead of field by field. */
export function hasTextForm(message: DescMessage): boolean {
  return jsonForms.has(message.typeName) || wrapped(message) !== undefined;
}

function messageParser(
  field: DescField & { message: DescMessage },
  forms: TextForms,
): TextParser | undefined {
  switch (field.message.typeName) {
    case TimestampSchema.typeName:
      return timeParser(
        TimestampSchema,
        "an RFC 3339 timestamp such as 2020-01-31T12:00:00Z",
        parseTimestamp,
      );
    case DurationSchema.typeName:
      return forms.goDurations
        ? timeParser(DurationSchema, "a duration such as 1.5s or 1h30m", parseGoDuration)
        : timeParser(DurationSchema, "a duration in seconds such as 1.5s", parseDuration);
    case FieldMaskSchema.typeName:
      return { expected: "field names separated by commas", parse: parseFieldMask };
    case StructSchema.typeName:
      return structParser(field);
    case ValueSchema.typeName:
      return jsonParser(ValueSchema, "JSON text");
    case ListValueSchema.typeName:
      return jsonParser(ListValueSchema, "the text of a JSON array");
    default:
      return wrapperParser(field) ?? (forms.jsonMessages ? wholeParser(field.message) : undefined);
  }
}

function timeParser(
  schema: typeof TimestampSchema | typeof DurationSchema,
  expected: string,
  parts: (text: string) => TimeParts | undefined,
): TextParser {
  const parse = (text: string): unknown => {
    const found = parts(text);
    return found && create(schema, { seconds: BigInt(found.seconds), nanos: found.nanos });
  };
  return { expected, parse };
}

const maskPath = /^(?:\*|[A-Za-z_][A-Za-z0-9_]*)(?:\.(?:\*|[A-Za-z_][A-Za-z0-9_]*))*$/;

/** Accepts names in JSON style (`camelCase`) and in proto style (`snake_case`), and `*` for all fields. */
function parseFieldMask(text: string): unknown {
  if (text === "") return create(FieldMaskSchema);
  const paths = text.split(",");
  if (!paths.every((path) => maskPath.test(path))) return undefined;
  const snakeCase = (path: string): string => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return create(FieldMaskSchema, { paths: paths.map(snakeCase) });
}

function structParser(field: DescField & { message: DescMessage }): TextParser {
  const { expected, parse } = jsonParser(StructSchema, "the text of a JSON object");
  if (localShape(field) === "message") return { expected, parse };
  return {
    expected,
    parse: (text) => {
      const struct = parse(text) as Struct | undefined; // The reader returns this type.
      return struct && toJson(StructSchema, struct);
    },
  };
}

/** Parses JSON text as strictly as a body: no duplicate keys, no lone surrogates, limited nesting. */
function jsonParser(schema: DescMessage, expected: string): TextParser<Message> {
  const reader = jsonReader(schema);
  const parse = (text: string): Message | undefined => {
    try {
      return reader.read(text);
    } catch {
      return undefined;
    }
  };
  return { expected, parse };
}

/**
 * Parses a message without a text form from the text of its JSON object. `Any` would need a registry and is not
 * supported.
 */
function wholeParser(message: DescMessage): TextParser | undefined {
  return message.typeName === AnySchema.typeName
    ? undefined
    : jsonParser(message, `the JSON of a ${message.typeName}`);
}

function wrapperParser(field: DescField & { message: DescMessage }): TextParser | undefined {
  const { message } = field;
  const scalar = wrapped(message);
  if (scalar === undefined) return undefined;
  const inner = scalarParser(scalar);
  if (localShape(field) === "wrapped") return inner;
  const parse = (text: string): unknown => {
    const value = inner.parse(text);
    if (value === undefined) return undefined;
    const wrapper = create(message);
    fieldsOf(wrapper)["value"] = value;
    return wrapper;
  };
  return { expected: inner.expected, parse };
}
