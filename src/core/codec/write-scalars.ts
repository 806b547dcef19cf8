import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../errors.ts";
import { formatDouble, formatFloat32 } from "./exact-numbers.ts";

/** The JSON text of a value; `place` names the field for errors. */
export type WriteScalar = (value: unknown) => string;

/** How 64-bit integers are printed: as strings, as bare numbers, or bare where a double holds them exactly. */
export type Int64Format = "string" | "number" | "safe-number";

/** The error for a value that JSON has no text for: the mistake of whoever built the message. */
export function unwritable(place: string, problem: string): ConnectError {
  return new ConnectError(`cannot write ${place} as JSON: ${problem}`, Code.Internal);
}

/** The printer of one scalar type by the proto3 JSON mapping; it refuses values of another type with INTERNAL. */
export function scalarWriter(type: ScalarType, int64: Int64Format, place: string): WriteScalar {
  const refuse = (value: unknown): never => {
    throw unwritable(place, `${typeof value} is no ${ScalarType[type].toLowerCase()}`);
  };
  switch (type) {
    case ScalarType.STRING:
      return (value) => (typeof value === "string" ? quoteText(value) : refuse(value));
    case ScalarType.BOOL:
      return (value) => (value === true ? "true" : value === false ? "false" : refuse(value));
    case ScalarType.BYTES:
      return (value) => (value instanceof Uint8Array ? quoteBytes(value) : refuse(value));
    case ScalarType.DOUBLE:
      return (value) => (typeof value === "number" ? writeDouble(value, formatDouble) : refuse(value));
    case ScalarType.FLOAT:
      return (value) =>
        typeof value === "number" ? writeDouble(Math.fround(value), formatFloat32) : refuse(value);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (value) => (typeof value === "number" && (value | 0) === value ? `${value}` : refuse(value));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (value) => (typeof value === "number" && value >>> 0 === value ? `${value}` : refuse(value));
    default:
      return int64Writer(int64, refuse);
  }
}

function int64Writer(format: Int64Format, refuse: (value: unknown) => never): WriteScalar {
  // Messages hold bigints, or decimal strings with `jstype = JS_STRING`.
  const digits = (value: unknown): string =>
    typeof value === "bigint" || (typeof value === "string" && /^-?[0-9]{1,20}$/.test(value))
      ? value.toString()
      : refuse(value);
  if (format === "number") return digits;
  if (format === "string") return (value) => `"${digits(value)}"`;
  return (value) => {
    const text = digits(value);
    return Number.isSafeInteger(Number(text)) ? text : `"${text}"`;
  };
}

function writeDouble(value: number, format: (value: number) => string): string {
  if (value - value === 0) return format(value);
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** The printer of one enum: names, or numbers for values that the enum does not have and where the format says so. */
export function enumWriter(desc: DescEnum, format: "name" | "number", place: string): WriteScalar {
  const refuse = (value: unknown): never => {
    throw unwritable(place, `${String(value)} is no number of ${desc.typeName}`);
  };
  const isInt32 = (value: unknown): value is number => typeof value === "number" && (value | 0) === value;
  if (desc.typeName === "google.protobuf.NullValue")
    return (value) => (isInt32(value) ? "null" : refuse(value));
  if (format === "number") return (value) => (isInt32(value) ? `${value}` : refuse(value));
  const names = new Map<unknown, string>();
  for (const value of desc.values) {
    if (!names.has(value.number)) names.set(value.number, JSON.stringify(value.jsonName));
  }
  return (value) => names.get(value) ?? (isInt32(value) ? `${value}` : refuse(value));
}

// Quotes, backslashes, control characters, and surrogates, of which one may be alone.
const special = /["\\\u0000-\u001f\ud800-\udfff]/;

/** The JSON string of a text. Lone surrogates become U+FFFD, as they do in the binary format. */
export function quoteText(text: string): string {
  return special.test(text) ? JSON.stringify(text.toWellFormed()) : `"${text}"`;
}

function quoteBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return '""';
  return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")}"`;
}
