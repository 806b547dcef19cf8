import { ScalarType } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../errors/errors.ts";
import { formatBase64 } from "./base64-text.ts";
import { doubleJson, floatJson } from "./exact-numbers.ts";
import { scalarKind } from "./scalar-kinds.ts";

/**
 * Appends values of one kind to a text. The engine appends to a string cheaply and cuts it at a cost, so writers only
 * append, and the caller adds `open`, what every value of the kind begins with, together with the name of the member.
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

/** The error for a value that JSON has no text for: the service built the message wrongly. */
export function unwritable(place: string, problem: string): ConnectError {
  return new ConnectError(`cannot write ${place} as JSON: ${problem}`, Code.Internal);
}

/** The writer of one scalar type by the proto3 JSON mapping; it refuses values of another type with INTERNAL. */
export function scalarWriter(type: ScalarType, int64: Int64Format, place: string): ValueWriter {
  const refuse = (value: unknown): never => {
    throw unwritable(
      place,
      `${typeof value === "number" ? value : typeof value} is no ${ScalarType[type].toLowerCase()}`,
    );
  };
  switch (scalarKind(type)) {
    case "string":
      return bare((out, value) => out + (typeof value === "string" ? quoteText(value) : refuse(value)));
    case "bytes":
      return quoted(
        (out, value) => out + (value instanceof Uint8Array ? formatBase64(value) : refuse(value)) + '"',
      );
    case "bool":
      return bare(
        (out, value) => out + (value === true ? "true" : value === false ? "false" : refuse(value)),
      );
    case "double":
      return bare((out, value) => out + (typeof value === "number" ? doubleJson(value) : refuse(value)));
    case "float":
      return bare(
        (out, value) => out + (typeof value === "number" ? floatJson(Math.fround(value)) : refuse(value)),
      );
    case "int32":
      return bare((out, value) =>
        typeof value === "number" && (value | 0) === value ? out + value : refuse(value),
      );
    case "uint32":
      return bare((out, value) =>
        typeof value === "number" && value >>> 0 === value ? out + value : refuse(value),
      );
    case "int64":
    case "uint64":
      return int64Writer(int64, refuse);
  }
}

function quoted(append: ValueWriter["append"]): ValueWriter {
  return { open: '"', append };
}

function bare(append: ValueWriter["append"]): ValueWriter {
  return { open: "", append };
}

function int64Writer(format: Int64Format, refuse: (value: unknown) => never): ValueWriter {
  // Messages hold bigints, or decimal strings with `jstype = JS_STRING`.
  const digits = (value: unknown): string =>
    typeof value === "string" && /^-?[0-9]{1,20}$/.test(value) ? value : refuse(value);
  if (format === "number") {
    return bare((out, value) => out + (typeof value === "bigint" ? value.toString() : digits(value)));
  }
  if (format === "string") {
    return quoted((out, value) => out + (typeof value === "bigint" ? value.toString() : digits(value)) + '"');
  }
  return bare((out, value) => {
    const text = typeof value === "bigint" ? value.toString() : digits(value);
    return out + (Number.isSafeInteger(Number(text)) ? text : `"${text}"`);
  });
}

/** Up to this length, looking at every character costs less than the call into native code. */
const shortText = 12;

/** Whether a short text is the same between quotes in JSON: an answer that costs less than `JSON.stringify`. */
export function isPlainText(text: string): boolean {
  return text.length <= shortText && isPlain(text);
}

/** The JSON string of a text, with its quotes. Lone surrogates become U+FFFD, as they do in the binary format. */
export function quoteText(text: string): string {
  if (isPlainText(text)) return `"${text}"`;
  const literal = JSON.stringify(text);
  // An unchanged length means that nothing was escaped, lone surrogates included.
  return literal.length === text.length + 2 ? literal : JSON.stringify(text.toWellFormed());
}

/** Whether a text has neither quotes, backslashes, control characters nor surrogates. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x22 || code === 0x5c || code >= 0xd800) return false;
  }
  return true;
}
