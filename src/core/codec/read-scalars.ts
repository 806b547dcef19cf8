import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { parseExactDouble, parseExactInteger } from "./exact-numbers.ts";
import type { JsonCursor } from "./json-cursor.ts";

/** Reads the value at the cursor and leaves the cursor behind it. */
export type ReadValue = (cursor: JsonCursor) => unknown;

const quote = 0x22;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;

const int32Min = -2_147_483_648;
const int32Max = 2_147_483_647;
const uint32Max = 4_294_967_295;
const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** How many names of an enum an error lists. */
const listedNames = 10;

/**
 * The reader of one scalar value by the proto3 JSON mapping.
 *
 * `longAsString` gives 64-bit integers as decimal strings (`jstype = JS_STRING`), otherwise they are bigints.
 */
export function scalarReader(type: ScalarType, longAsString = false): ReadValue {
  switch (type) {
    case ScalarType.STRING:
      return readText;
    case ScalarType.BOOL:
      return readBool;
    case ScalarType.BYTES:
      return readBytes;
    case ScalarType.DOUBLE:
      return readDouble;
    case ScalarType.FLOAT:
      return readFloat;
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return readInt32;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return readUint32;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return longAsString ? (cursor) => String(readInt64(cursor)) : readInt64;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
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

/** The six bits of every base64 digit by character code, both alphabets; 64 for other characters. */
const base64Digits = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".indexOf(
    String.fromCharCode(code),
  );
  return digit >= 0 ? digit : code === 0x2d ? 62 : code === 0x5f ? 63 : 64;
});

function readBytes(cursor: JsonCursor): Uint8Array {
  const start = cursor.pos;
  if (cursor.text.charCodeAt(start) !== quote) cursor.expected("bytes as a base64 string");
  const bytes = parseBase64(cursor.readString());
  return bytes ?? cursor.expected("bytes as standard or URL-safe base64", start);
}

/** Decodes standard or URL-safe base64, padded or not; undefined where the text is neither. */
export function parseBase64(text: string): Uint8Array | undefined {
  let end = text.length;
  if (end % 4 === 0 && text.endsWith("=")) end -= text.endsWith("==") ? 2 : 1;
  if (end % 4 === 1) return undefined;
  const bytes = new Uint8Array((end * 3) >> 2);
  let bits = 0;
  let filled = 0;
  let length = 0;
  for (let pos = 0; pos < end; pos++) {
    const digit = base64Digits[text.charCodeAt(pos)] ?? 64;
    if (digit === 64) return undefined;
    bits = ((bits & 0xfff) << 6) | digit;
    filled += 6;
    if (filled >= 8) {
      filled -= 8;
      bytes[length++] = bits >> filled;
    }
  }
  return bytes;
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

function readInt32(cursor: JsonCursor): number {
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

/** The reader of one enum value: a name, an alias, or a number (any 32-bit number where the enum is open). */
export function enumReader(desc: DescEnum): ReadValue {
  if (desc.typeName === "google.protobuf.NullValue") return nullValueReader(desc);
  const numbers = enumNumbers(desc);
  const allowed = enumHint(desc);
  return (cursor) => {
    const start = cursor.pos;
    const code = cursor.text.charCodeAt(start);
    if (code === quote) return numbers.get(cursor.readString()) ?? cursor.expected(allowed, start);
    if (code !== minus && !(code >= zero && code <= nine)) cursor.expected(allowed);
    const number = readInt32(cursor);
    if (!desc.open && desc.value[number] === undefined) cursor.expected(allowed, start);
    return number;
  };
}

function nullValueReader(desc: DescEnum): ReadValue {
  const numbers = enumNumbers(desc);
  return (cursor) => {
    const start = cursor.pos;
    const code = cursor.text.charCodeAt(start);
    if (code === 0x6e) {
      cursor.readWord("null");
      return 0;
    }
    if (code === quote) return numbers.get(cursor.readString()) ?? cursor.expected("null", start);
    if (code !== minus && !(code >= zero && code <= nine)) cursor.expected("null");
    return readInt32(cursor);
  };
}

/** The numbers of an enum by every name that its values have; proto names win over custom JSON names. */
export function enumNumbers(desc: DescEnum): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (const value of desc.values) numbers.set(value.jsonName, value.number);
  for (const value of desc.values) numbers.set(value.name, value.number);
  return numbers;
}

/** What an error says is allowed in a field of this enum. */
function enumHint(desc: DescEnum): string {
  const names = desc.values.map((value) => value.name);
  if (names.length <= listedNames) return `one of ${names.join(", ")}`;
  return `a value of ${desc.typeName} such as ${names.slice(0, listedNames).join(", ")}`;
}

const integerKey = /^-?[0-9]/;

/**
 * The conversion of a member name to the key of a map field; undefined where the name is no key of this type.
 * Keys are property names: integers in their shortest form, `true` or `false`, strings as they are.
 */
export function mapKeyParser(type: ScalarType): {
  parse: (name: string) => string | undefined;
  what: string;
} {
  switch (type) {
    case ScalarType.STRING:
      return { parse: (name) => name, what: "a string" };
    case ScalarType.BOOL:
      return {
        parse: (name) => (name === "true" || name === "false" ? name : undefined),
        what: "true or false",
      };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return integerKeyParser(int64Min, int64Max);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerKeyParser(0n, uint64Max);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integerKeyParser(0n, BigInt(uint32Max));
    default:
      return integerKeyParser(BigInt(int32Min), BigInt(int32Max));
  }
}

function integerKeyParser(min: bigint, max: bigint): ReturnType<typeof mapKeyParser> {
  const parse = (name: string): string | undefined => {
    const value = integerKey.test(name) ? parseExactInteger(name) : undefined;
    return value === undefined || value < min || value > max ? undefined : value.toString();
  };
  return { parse, what: integerRange(min, max) };
}
