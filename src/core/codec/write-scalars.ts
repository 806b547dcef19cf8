import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../errors.ts";
import { formatDouble, formatFloat32 } from "./exact-numbers.ts";

/**
 * Appends values of one kind to a text. Ropes are cheap to append to and dear to cut, so all writers append, and what
 * every value of a kind begins with is left to the caller, who adds it together with the name of the member.
 */
export interface ValueWriter<Context = unknown> {
  /** What every text of this kind begins with: a quote, a bracket, or nothing. */
  readonly open: string;
  /** Appends the rest of the value's text. */
  append(out: string, value: unknown, context: Context): string;
}

/** A writer from a function that prints what stands between quotes, without anything to escape. */
export function quotedWriter(print: (value: unknown) => string): ValueWriter {
  return { open: '"', append: (out, value) => out + print(value) + '"' };
}

/** A writer from a function that prints the whole text. */
export function bareWriter(print: (value: unknown) => string): ValueWriter {
  return { open: "", append: (out, value) => out + print(value) };
}

/** How 64-bit integers are printed: as strings, as bare numbers, or bare where a double holds them exactly. */
export type Int64Format = "string" | "number" | "safe-number";

/** The error for a value that JSON has no text for: the mistake of whoever built the message. */
export function unwritable(place: string, problem: string): ConnectError {
  return new ConnectError(`cannot write ${place} as JSON: ${problem}`, Code.Internal);
}

/** The writer of one scalar type by the proto3 JSON mapping; it refuses values of another type with INTERNAL. */
export function scalarWriter(type: ScalarType, int64: Int64Format, place: string): ValueWriter {
  const refuse = (value: unknown): never => {
    throw unwritable(place, `${typeof value} is no ${ScalarType[type].toLowerCase()}`);
  };
  switch (type) {
    case ScalarType.STRING:
      return quotedWriter((value) => (typeof value === "string" ? escapeText(value) : refuse(value)));
    case ScalarType.BYTES:
      return quotedWriter((value) => (value instanceof Uint8Array ? base64Text(value) : refuse(value)));
    case ScalarType.BOOL:
      return bareWriter((value) => (value === true ? "true" : value === false ? "false" : refuse(value)));
    case ScalarType.DOUBLE:
      return bareWriter((value) =>
        typeof value === "number" ? doubleText(value, formatDouble) : refuse(value),
      );
    case ScalarType.FLOAT:
      return bareWriter((value) =>
        typeof value === "number" ? doubleText(Math.fround(value), formatFloat32) : refuse(value),
      );
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return bareWriter((value) =>
        typeof value === "number" && (value | 0) === value ? `${value}` : refuse(value),
      );
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return bareWriter((value) =>
        typeof value === "number" && value >>> 0 === value ? `${value}` : refuse(value),
      );
    default:
      return int64Writer(int64, refuse);
  }
}

function int64Writer(format: Int64Format, refuse: (value: unknown) => never): ValueWriter {
  // Messages hold bigints, or decimal strings with `jstype = JS_STRING`.
  const digits = (value: unknown): string =>
    typeof value === "bigint" || (typeof value === "string" && /^-?[0-9]{1,20}$/.test(value))
      ? value.toString()
      : refuse(value);
  if (format === "number") return bareWriter(digits);
  if (format === "string") return quotedWriter(digits);
  return bareWriter((value) => {
    const text = digits(value);
    return Number.isSafeInteger(Number(text)) ? text : `"${text}"`;
  });
}

function doubleText(value: number, format: (value: number) => string): string {
  if (value - value === 0) return format(value);
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** The writer of one enum: names, or numbers for values that the enum does not have and where the format says so. */
export function enumWriter(desc: DescEnum, format: "name" | "number", place: string): ValueWriter {
  const refuse = (value: unknown): never => {
    throw unwritable(place, `${String(value)} is no number of ${desc.typeName}`);
  };
  const isInt32 = (value: unknown): value is number => typeof value === "number" && (value | 0) === value;
  if (desc.typeName === "google.protobuf.NullValue") {
    return bareWriter((value) => (isInt32(value) ? "null" : refuse(value)));
  }
  if (format === "number") return bareWriter((value) => (isInt32(value) ? `${value}` : refuse(value)));
  const names = new Map<unknown, string>();
  for (const value of desc.values) {
    if (!names.has(value.number)) names.set(value.number, JSON.stringify(value.jsonName));
  }
  return bareWriter((value) => names.get(value) ?? (isInt32(value) ? `${value}` : refuse(value)));
}

// Quotes, backslashes, control characters, and surrogates, of which one may be alone.
const special = /["\\\u0000-\u001f\ud800-\udfff]/;

/** What stands between the quotes of a JSON string. Lone surrogates become U+FFFD, as in the binary format. */
export function escapeText(text: string): string {
  return special.test(text) ? JSON.stringify(text.toWellFormed()).slice(1, -1) : text;
}

/** The JSON string of a text, quotes included. */
export function quoteText(text: string): string {
  return `"${escapeText(text)}"`;
}

function base64Text(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
