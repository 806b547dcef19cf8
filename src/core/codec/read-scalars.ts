import type { ScalarType } from "@bufbuild/protobuf";
import { parseBase64 } from "./base64-text.ts";
import { parseExactDouble, parseExactInteger } from "./exact-numbers.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { integerRanges, scalarKind } from "./scalar-kinds.ts";

/** Reads the value at the cursor and leaves the cursor behind it. */
export type ReadValue = (cursor: JsonCursor) => unknown;

const quote = 0x22;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;

const int32Min = -2_147_483_648;
const int32Max = 2_147_483_647;
const uint32Max = 4_294_967_295;
const { min: int64Min, max: int64Max } = integerRanges.int64;
const { max: uint64Max } = integerRanges.uint64;

/**
 * The reader of one scalar value by the proto3 JSON mapping.
 *
 * `longAsString` gives 64-bit integers as decimal strings (`jstype = JS_STRING`), otherwise they are bigints.
 */
export function scalarReader(type: ScalarType, longAsString = false): ReadValue {
  switch (scalarKind(type)) {
    case "string":
      return readText;
    case "bool":
      return readBool;
    case "bytes":
      return readBytes;
    case "double":
      return readDouble;
    case "float":
      return readFloat;
    case "int32":
      return readInt32;
    case "uint32":
      return readUint32;
    case "int64":
      return longAsString ? (cursor) => String(readInt64(cursor)) : readInt64;
    case "uint64":
      return longAsString ? (cursor) => String(readUint64(cursor)) : readUint64;
  }
}

function readText(cursor: JsonCursor): string {
  if (cursor.text.charCodeAt(cursor.pos) !== quote) cursor.expected("a string");
  return cursor.readString();
}

function readBool(cursor: JsonCursor): boolean {
  const { text, pos } = cursor;
  if (text.startsWith("true", pos)) {
    cursor.pos = pos + 4;
    return true;
  }
  if (!text.startsWith("false", pos)) cursor.expected("true or false");
  cursor.pos = pos + 5;
  return false;
}

function readBytes(cursor: JsonCursor): Uint8Array {
  const start = cursor.pos;
  if (cursor.text.charCodeAt(start) !== quote) cursor.expected("bytes as a base64 string");
  const bytes = parseBase64(cursor.readString());
  return bytes ?? cursor.expected("bytes as standard or URL-safe base64", start);
}

function readDouble(cursor: JsonCursor): number {
  const code = cursor.text.charCodeAt(cursor.pos);
  if (code === quote) return readQuotedDouble(cursor);
  const start = cursor.pos;
  if (code !== minus && !(code >= zero && code <= nine)) cursor.expected("a number");
  const value = cursor.readNumber();
  if (value - value !== 0) cursor.expected("a number in the range of a double", start);
  return value;
}

function readQuotedDouble(cursor: JsonCursor): number {
  const start = cursor.pos;
  const text = cursor.readString();
  if (text === "NaN") return NaN;
  if (text === "Infinity") return Infinity;
  if (text === "-Infinity") return -Infinity;
  const value = parseExactDouble(text);
  if (value === undefined) return cursor.expected("a number", start);
  if (!Number.isFinite(value)) cursor.expected("a number in the range of a double", start);
  return value;
}

function readFloat(cursor: JsonCursor): number {
  const start = cursor.pos;
  const value = readDouble(cursor);
  const rounded = Math.fround(value);
  if (rounded - rounded !== 0 && value - value === 0)
    cursor.expected("a number in the range of a float", start);
  return rounded;
}

/** Reads an `int32`. */
export function readInt32(cursor: JsonCursor): number {
  return readInteger(cursor, int32Min, int32Max);
}

function readUint32(cursor: JsonCursor): number {
  return readInteger(cursor, 0, uint32Max);
}

/** Reads an integer of at most 32 bits: plain digits here, all other spellings in `readExactInteger`. */
function readInteger(cursor: JsonCursor, min: number, max: number): number {
  const { text, pos: start } = cursor;
  const value = plainInteger(cursor, 10);
  if (value === undefined) return Number(readExactInteger(cursor, BigInt(min), BigInt(max)));
  if (value < min || value > max) cursor.expected(integerRange(min, max), start);
  if (value === 0 && text.charCodeAt(start) === minus) return 0;
  return value;
}

function readInt64(cursor: JsonCursor): bigint {
  const value = plainInteger(cursor, 15);
  return value === undefined ? readExactInteger(cursor, int64Min, int64Max) : BigInt(value);
}

function readUint64(cursor: JsonCursor): bigint {
  const start = cursor.pos;
  const value = plainInteger(cursor, 15);
  if (value === undefined) return readExactInteger(cursor, 0n, uint64Max);
  if (value < 0) cursor.expected(integerRange(0n, uint64Max), start);
  return BigInt(value);
}

/**
 * Reads an integer, quoted or not, of at most `digits` plain digits. Leaves the cursor where it is and returns
 * undefined for every other spelling.
 */
function plainInteger(cursor: JsonCursor, digits: number): number | undefined {
  const text = cursor.text;
  let pos = cursor.pos;
  let code = text.charCodeAt(pos);
  const quoted = code === quote;
  if (quoted) code = text.charCodeAt(++pos);
  const negative = code === minus;
  if (negative) code = text.charCodeAt(++pos);
  const first = pos;
  let value = 0;
  while (code >= zero && code <= nine) {
    value = value * 10 + (code - zero);
    code = text.charCodeAt(++pos);
  }
  const length = pos - first;
  if (length === 0 || length > digits || (length > 1 && text.charCodeAt(first) === zero)) return undefined;
  if (quoted) {
    if (code !== quote) return undefined;
    pos++;
  } else if (code === 0x2e || code === 0x65 || code === 0x45) return undefined;
  cursor.pos = pos;
  return negative ? -value : value;
}

function readExactInteger(cursor: JsonCursor, min: bigint, max: bigint): bigint {
  const start = cursor.pos;
  const code = cursor.text.charCodeAt(start);
  if (code !== quote && code !== minus && !(code >= zero && code <= nine))
    cursor.expected(integerRange(min, max));
  const value = parseExactInteger(code === quote ? cursor.readString() : cursor.readNumberToken());
  if (value === undefined || value < min || value > max) cursor.expected(integerRange(min, max), start);
  return value;
}

function integerRange(min: number | bigint, max: number | bigint): string {
  return `an integer from ${min} to ${max}`;
}
