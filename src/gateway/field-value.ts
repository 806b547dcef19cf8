import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import {
  DurationSchema,
  FieldMaskSchema,
  ListValueSchema,
  type Struct,
  StructSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { fieldsOf, localShape, wrapped } from "../core/codec/field-shape.ts";
import { jsonReader } from "../core/codec/json-reader.ts";
import { enumNumbers, parseBase64 } from "../core/codec/read-scalars.ts";
import { parseDuration, parseTimestamp, type TimeParts } from "../core/codec/time-text.ts";

/** Reads one kind of value from the text of a path capture or query parameter. */
export interface TextParser {
  /** What the text has to be: the end of a sentence that begins with "expected". */
  readonly expected: string;
  /** The value in the form in which messages, lists and maps hold it; undefined where the text is no such value. */
  readonly parse: (text: string) => unknown;
}

const integerText = /^-?(?:0|[1-9][0-9]*)$/;
const numberText = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Digits and sign of the longest 64-bit integer: longer texts are out of range and not worth converting. */
const longestInteger = 20;

/** How many names of an enum an error lists. */
const listedNames = 10;

/**
 * The parser for the values of a field, for one element where the field is a list or map; undefined where a message
 * has no form as text. Values are read as specified for query parameters and path variables (transcoding between
 * HTTP and gRPC): stricter than the JSON mapping for numbers, laxer for booleans, enums by name and number,
 * well-known types by their JSON string, wrappers as what they wrap, `Struct`, `Value` and `ListValue` as JSON text.
 */
export function textParser(field: DescField): TextParser | undefined {
  if (field.message !== undefined) return messageParser(field);
  if (field.enum !== undefined) return enumParser(field.enum);
  return scalarParser(field.scalar, field.fieldKind !== "map" && field.longAsString);
}

const jsonForms: ReadonlySet<string> = new Set(
  [TimestampSchema, DurationSchema, FieldMaskSchema, StructSchema, ValueSchema, ListValueSchema].map(
    ({ typeName }) => typeName,
  ),
);

/** Whether the values of a message type are written as one text and not field by field. */
export function hasTextForm(message: DescMessage): boolean {
  return jsonForms.has(message.typeName) || wrapped(message) !== undefined;
}

/** The parser for one value of a scalar type; `longAsString` is the form of `jstype = JS_STRING`. */
export function scalarParser(type: ScalarType, longAsString = false): TextParser {
  switch (type) {
    case ScalarType.STRING:
      return { expected: "a text", parse: (text) => text };
    case ScalarType.BOOL:
      return { expected: "true or false", parse: parseBool };
    case ScalarType.BYTES:
      return { expected: "bytes as standard or URL-safe base64", parse: parseBase64 };
    case ScalarType.DOUBLE:
      return { expected: "a number in the range of a double", parse: parseDouble };
    case ScalarType.FLOAT:
      return { expected: "a number in the range of a float", parse: parseFloat32 };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return integerParser(-(2n ** 31n), 2n ** 31n - 1n, Number);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integerParser(0n, 2n ** 32n - 1n, Number);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return integerParser(-(2n ** 63n), 2n ** 63n - 1n, longAsString ? String : undefined);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerParser(0n, 2n ** 64n - 1n, longAsString ? String : undefined);
  }
}

/** Says what is wrong with a value, for a violation. */
export function unexpectedText(parser: TextParser, text: string): string {
  return `expected ${parser.expected}, found ${quoteText(text)}`;
}

/** A caller's text in quotes, cut to what an error may repeat. */
export function quoteText(text: string): string {
  return JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 40)}…`);
}

function integerParser(
  min: bigint,
  max: bigint,
  convert: ((value: bigint) => unknown) | undefined,
): TextParser {
  const parse = (text: string): unknown => {
    if (text.length > longestInteger || !integerText.test(text)) return undefined;
    const value = BigInt(text);
    if (value < min || value > max) return undefined;
    return convert === undefined ? value : convert(value);
  };
  return { expected: `an integer from ${min} to ${max}`, parse };
}

function parseBool(text: string): boolean | undefined {
  switch (text.length <= 5 ? text.toLowerCase() : text) {
    case "true":
    case "1":
      return true;
    case "false":
    case "0":
      return false;
    default:
      return undefined;
  }
}

function parseDouble(text: string): number | undefined {
  switch (text) {
    case "NaN":
      return NaN;
    case "Infinity":
      return Infinity;
    case "-Infinity":
      return -Infinity;
    default: {
      const value = numberText.test(text) ? Number(text) : NaN;
      return Number.isFinite(value) ? value : undefined;
    }
  }
}

function parseFloat32(text: string): number | undefined {
  const value = parseDouble(text);
  if (value === undefined) return undefined;
  const rounded = Math.fround(value);
  return Number.isFinite(value) && !Number.isFinite(rounded) ? undefined : rounded;
}

function enumParser(desc: DescEnum): TextParser {
  const byName = enumNumbers(desc);
  const number = scalarParser(ScalarType.INT32);
  const names = desc.values.map(({ name }) => name);
  const listed = names.slice(0, listedNames).join(", ");
  return {
    expected:
      names.length <= listedNames ? `one of ${listed}` : `a value of ${desc.typeName} such as ${listed}`,
    parse: (text) => {
      const named = byName.get(text);
      if (named !== undefined) return named;
      const value = number.parse(text);
      return desc.open || (typeof value === "number" && desc.value[value] !== undefined) ? value : undefined;
    },
  };
}

function messageParser(field: DescField & { message: DescMessage }): TextParser | undefined {
  switch (field.message.typeName) {
    case TimestampSchema.typeName:
      return timeParser(
        TimestampSchema,
        "an RFC 3339 timestamp such as 2020-01-31T12:00:00Z",
        parseTimestamp,
      );
    case DurationSchema.typeName:
      return timeParser(DurationSchema, "a duration in seconds such as 1.5s", parseDuration);
    case FieldMaskSchema.typeName:
      return { expected: "field names separated by commas", parse: parseFieldMask };
    case StructSchema.typeName:
      return structParser(field);
    case ValueSchema.typeName:
      return jsonParser(ValueSchema, "JSON text");
    case ListValueSchema.typeName:
      return jsonParser(ListValueSchema, "the text of a JSON array");
    default:
      return wrapperParser(field);
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

/** Takes the spelling of JSON (`camelCase`) and that of protos (`snake_case`), and `*` for everything. */
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
      const struct = parse(text) as Struct | undefined; // The reader's own type.
      return struct && toJson(StructSchema, struct);
    },
  };
}

/** Reads JSON text as strictly as a body: no duplicate keys, no lone surrogates, no nesting without end. */
function jsonParser(
  schema: DescMessage,
  expected: string,
): TextParser & { parse: (text: string) => Message | undefined } {
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
