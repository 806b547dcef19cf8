import { parseExactDouble } from "./exact-numbers.ts";
import { irregular, seen } from "./scratch.ts";
import { daysBefore, isDate, isTimestampSecond, parseDuration, parseTimestamp } from "./time-text.ts";

// All functions read from `pos` of `from`, which is valid UTF-8, and leave the position behind what they read in
// `seen.pos`. What is not of the plain kind is irregular.

const quote = 0x22;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;

/** 1 for the bytes that stand for themselves in a JSON string. */
export const plainByte: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  code < 0x20 || code === quote || code === 0x5c ? 0 : 1,
);

/** The position of the next byte that is no white space. */
export function skipSpace(from: Uint8Array, pos: number): number {
  let at = pos;
  let code = from[at];
  while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = from[++at];
  return at;
}

/** Steps over the comma to the next element, or over `close`: then the result is the complement of the position. */
export function takeNext(from: Uint8Array, pos: number, close: number): number {
  let at = pos;
  let code = from[at] ?? 0;
  if (code <= 0x20) code = from[(at = skipSpace(from, at))] ?? 0;
  at++;
  if (code === 0x2c) return (from[at] ?? 0) <= 0x20 ? skipSpace(from, at) : at;
  if (code === close) return ~at;
  throw irregular;
}

/** Steps over the colon behind a name and the space around it. */
export function takeColon(from: Uint8Array, pos: number): number {
  const at = skipSpace(from, pos);
  if (from[at] !== 0x3a) throw irregular;
  return skipSpace(from, at + 1);
}

/** Steps over the word `null`. */
export function takeNull(from: Uint8Array, pos: number): number {
  if (from[pos + 1] !== 0x75 || from[pos + 2] !== 0x6c || from[pos + 3] !== 0x6c) throw irregular;
  return pos + 4;
}

export function takeBool(from: Uint8Array, pos: number): boolean {
  const is = from[pos] === 0x74;
  if (is) {
    if (from[pos + 1] !== 0x72 || from[pos + 2] !== 0x75 || from[pos + 3] !== 0x65) throw irregular;
    seen.pos = pos + 4;
    return true;
  }
  if (from[pos] !== 0x66 || from[pos + 1] !== 0x61 || from[pos + 2] !== 0x6c) throw irregular;
  if (from[pos + 3] !== 0x73 || from[pos + 4] !== 0x65) throw irregular;
  seen.pos = pos + 5;
  return false;
}

/** A boolean in quotes, as the keys of maps are. */
export function takeBoolKey(from: Uint8Array, pos: number): boolean {
  const value = takeBool(from, pos + 1);
  if (from[seen.pos] !== quote) throw irregular;
  seen.pos++;
  return value;
}

export function takeInt32(from: Uint8Array, pos: number): number {
  const value = takeShortInteger(from, pos);
  if ((value | 0) !== value) throw irregular;
  return value | 0;
}

export function takeUint32(from: Uint8Array, pos: number): number {
  const value = takeShortInteger(from, pos);
  if (value >>> 0 !== value) throw irregular;
  return value >>> 0;
}

/** An integer of at most 15 plain digits, quoted or not. */
function takeShortInteger(from: Uint8Array, pos: number): number {
  let at = pos;
  let code = from[at] ?? 0;
  const quoted = code === quote;
  if (quoted) code = from[++at] ?? 0;
  const negative = code === minus;
  if (negative) code = from[++at] ?? 0;
  const first = at;
  let value = 0;
  while (code >= zero && code <= nine) {
    value = value * 10 + (code - zero);
    code = from[++at] ?? 0;
  }
  const count = at - first;
  if (count === 0 || count > 15 || (count > 1 && from[first] === zero)) throw irregular;
  if (quoted) {
    if (code !== quote) throw irregular;
    at++;
  } else if (code === dot || (code | 0x20) === 0x65) throw irregular;
  seen.pos = at;
  return negative ? 0 - value : value;
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** A signed 64-bit integer, into `seen.low` and `seen.high`. */
export function takeInt64(from: Buffer, pos: number): void {
  takeLong(from, pos, true);
}

/** An unsigned 64-bit integer, into `seen.low` and `seen.high`. */
export function takeUint64(from: Buffer, pos: number): void {
  takeLong(from, pos, false);
}

function takeLong(from: Buffer, pos: number, signed: boolean): void {
  let at = pos;
  let code = from[at] ?? 0;
  const quoted = code === quote;
  if (quoted) code = from[++at] ?? 0;
  const negative = code === minus;
  if (negative) code = from[++at] ?? 0;
  const first = at;
  // Nine digits each, so that no step leaves the integers of a double.
  let upper = 0;
  let lower = 0;
  let scale = 1;
  while (code >= zero && code <= nine) {
    if (scale === 1e9) {
      upper = upper * 1e9 + lower;
      lower = 0;
      scale = 1;
    }
    lower = lower * 10 + (code - zero);
    scale *= 10;
    code = from[++at] ?? 0;
  }
  const count = at - first;
  if (count === 0 || count > 20 || (count > 1 && from[first] === zero)) throw irregular;
  if (quoted) {
    if (code !== quote) throw irregular;
    seen.pos = at + 1;
  } else {
    if (code === dot || (code | 0x20) === 0x65) throw irregular;
    seen.pos = at;
  }
  if (count > 18) return splitLong(BigInt(from.toString("latin1", negative ? first - 1 : first, at)), signed);
  const middle = (upper & 0xffff) * scale;
  const top = Math.floor(upper / 65_536) * scale;
  const rest = (top % 65_536) * 65_536 + middle + lower;
  const carry = Math.floor(rest / 0x1_0000_0000);
  const low = (rest - carry * 0x1_0000_0000) | 0;
  const high = (Math.floor(top / 65_536) + carry) | 0;
  if (!negative) {
    seen.low = low;
    seen.high = high;
  } else {
    if (!signed && (low !== 0 || high !== 0)) throw irregular;
    seen.low = -low | 0;
    seen.high = low === 0 ? -high | 0 : ~high;
  }
}

function splitLong(value: bigint, signed: boolean): void {
  if (value < (signed ? int64Min : 0n) || value > (signed ? int64Max : uint64Max)) throw irregular;
  seen.low = Number(BigInt.asIntN(32, value));
  seen.high = Number(BigInt.asIntN(32, value >> 32n));
}

const powersOfTen = Array.from({ length: 16 }, (_, exponent) => Number(`1e${exponent}`));

export function takeDouble(from: Buffer, pos: number): number {
  let at = pos;
  let code = from[at] ?? 0;
  const negative = code === minus;
  if (negative) code = from[++at] ?? 0;
  const first = at;
  let value = 0;
  while (code >= zero && code <= nine) {
    value = value * 10 + (code - zero);
    code = from[++at] ?? 0;
  }
  let digits = at - first;
  let scale = 0;
  if (code === dot && digits > 0) {
    code = from[++at] ?? 0;
    const start = at;
    while (code >= zero && code <= nine) {
      value = value * 10 + (code - zero);
      code = from[++at] ?? 0;
    }
    scale = at - start;
    if (scale === 0) return takeLongDouble(from, pos);
    digits += scale;
  }
  const wide = digits === 0 || digits > 15 || (code | 0x20) === 0x65;
  if (wide || (from[first] === zero && digits - scale > 1)) return takeLongDouble(from, pos);
  seen.pos = at;
  // Both operands are exact, so that the quotient is rounded once.
  if (scale > 0) value /= powersOfTen[scale] ?? 1;
  return negative ? -value : value;
}

function takeLongDouble(from: Buffer, pos: number): number {
  const quoted = from[pos] === quote;
  const start = quoted ? pos + 1 : pos;
  let at = start;
  while (isNumeric(from[at] ?? 0)) at++;
  if (quoted && from[at] !== quote) return takeNamedDouble(from, start);
  const value = parseExactDouble(from.toString("latin1", start, at));
  if (value === undefined || value - value !== 0) throw irregular;
  seen.pos = quoted ? at + 1 : at;
  return value;
}

function takeNamedDouble(from: Buffer, start: number): number {
  for (const [word, value] of [
    ["NaN", NaN],
    ["Infinity", Infinity],
    ["-Infinity", -Infinity],
  ] as const) {
    const end = start + word.length;
    if (from.toString("latin1", start, end) === word && from[end] === quote) {
      seen.pos = end + 1;
      return value;
    }
  }
  throw irregular;
}

function isNumeric(code: number): boolean {
  return (
    (code >= zero && code <= nine) ||
    code === dot ||
    code === minus ||
    code === 0x2b ||
    code === 0x65 ||
    code === 0x45
  );
}

export function takeFloat(from: Buffer, pos: number): number {
  const value = takeDouble(from, pos);
  const rounded = Math.fround(value);
  if (rounded - rounded !== 0 && value - value === 0) throw irregular;
  return rounded;
}

/** The names of an enum by a hash of their bytes, and the numbers it takes. */
export interface EnumNames {
  readonly byHash: ReadonlyMap<number, { readonly name: Uint8Array; readonly number: number }>;
  /** Undefined for open enums, which take all numbers. */
  readonly numbers: ReadonlySet<number> | undefined;
  readonly isNull: boolean;
}

/** The names of an enum. Names of which two have one hash are left out, so that they are irregular. */
export function enumNames(
  numbersByName: ReadonlyMap<string, number>,
  numbers: ReadonlySet<number> | undefined,
  isNull: boolean,
): EnumNames {
  const byHash = new Map<number, { readonly name: Uint8Array; readonly number: number }>();
  const twice = new Set<number>();
  for (const [text, number] of numbersByName) {
    const name = Buffer.from(text);
    let hash = 0;
    for (const code of name) hash = (Math.imul(hash, 31) + code) | 0;
    if (byHash.has(hash)) twice.add(hash);
    byHash.set(hash, { name, number });
  }
  for (const hash of twice) byHash.delete(hash);
  return { byHash, numbers, isNull };
}

export function takeEnum(from: Uint8Array, pos: number, names: EnumNames): number {
  const first = from[pos] ?? 0;
  if (first !== quote) {
    if (first === 0x6e && names.isNull) {
      seen.pos = takeNull(from, pos);
      return 0;
    }
    const number = takeInt32(from, pos);
    if (names.numbers !== undefined && !names.numbers.has(number)) throw irregular;
    return number;
  }
  const start = pos + 1;
  let at = start;
  let hash = 0;
  let code = from[at] ?? 0;
  while (plainByte[code] === 1) {
    hash = (Math.imul(hash, 31) + code) | 0;
    code = from[++at] ?? 0;
  }
  const found = names.byHash.get(hash);
  if (code !== quote || found === undefined || found.name.length !== at - start) throw irregular;
  for (let i = start; i < at; i++) if (from[i] !== found.name[i - start]) throw irregular;
  seen.pos = at + 1;
  return found.number;
}

/** The text of a string; `all` are the same bytes as one character each. Longer strings of large texts are copied. */
export function takeText(from: Buffer, all: string, pos: number): string {
  if (from[pos] !== quote) throw irregular;
  const start = pos + 1;
  let at = start;
  let bits = 0;
  let code = from[at] ?? 0;
  while (plainByte[code] === 1) {
    bits |= code;
    code = from[++at] ?? 0;
  }
  if (code !== quote) return takeEscapedText(from, pos, at);
  seen.pos = at + 1;
  if (bits >= 0x80) return from.toString("utf8", start, at);
  return at - start < shortestSlice || all.length < sharedTextLength
    ? all.slice(start, at)
    : from.toString("latin1", start, at);
}

/** As for the reader of text: V8 makes longer slices point into their parent. */
const sharedTextLength = 65_536;
const shortestSlice = 13;

/** The text of a string literal at `pos` whose first special byte is at `special`. */
export function takeEscapedText(from: Buffer, pos: number, special: number): string {
  let at = special;
  for (;;) {
    const code = from[at];
    if (code === quote) break;
    if (code === undefined || code < 0x20) throw irregular;
    at += code === 0x5c ? 2 : 1;
  }
  const value = JSON.parse(from.toString("utf8", pos, at + 1)) as string; // It is a string literal, or this throws.
  if (!value.isWellFormed()) throw irregular;
  seen.pos = at + 1;
  return value;
}

/** Steps over a value of which only the end is looked for. */
export function skipJson(from: Uint8Array, pos: number): number {
  let at = pos;
  let depth = 0;
  for (;;) {
    const code = from[at];
    if (code === undefined) throw irregular;
    if (code === quote) at = skipString(from, at);
    else if (code === 0x7b || code === 0x5b) {
      depth++;
      at++;
      continue;
    } else if (code === 0x7d || code === 0x5d) {
      depth--;
      at++;
    } else if (code === 0x2c || code === 0x3a || code <= 0x20) {
      at++;
      continue;
    } else at = skipWord(from, at);
    if (depth <= 0) return at;
  }
}

function skipString(from: Uint8Array, pos: number): number {
  let at = pos + 1;
  for (;;) {
    const code = from[at];
    if (code === quote) return at + 1;
    if (code === undefined) throw irregular;
    at += code === 0x5c ? 2 : 1;
  }
}

/** The end of a number, of `true`, `false` or `null`. */
function skipWord(from: Uint8Array, pos: number): number {
  let at = pos;
  for (;;) {
    const code = from[at] ?? 0;
    if (code <= 0x20 || code === 0x2c || code === 0x5d || code === 0x7d) return at;
    at++;
  }
}

/** The seconds since 1970 of a timestamp, and its nanos into `seen.low`. */
export function takeTimestamp(from: Buffer, pos: number): number {
  const year = takePair(from, pos + 1) * 100 + takePair(from, pos + 3);
  const month = takePair(from, pos + 6);
  const day = takePair(from, pos + 9);
  const hour = takePair(from, pos + 12);
  const minute = takePair(from, pos + 15);
  const second = takePair(from, pos + 18);
  let nanos = 0;
  let at = pos + 20;
  if (from[at] === dot) {
    const start = ++at;
    let unit = 1_000_000_000;
    for (let code = from[at] ?? 0; code >= zero && code <= nine; code = from[++at] ?? 0)
      nanos += (unit /= 10) * (code - zero);
    if (at === start || at - start > 9) throw irregular;
  }
  const marks =
    from[pos] === quote && from[pos + 5] === minus && from[pos + 8] === minus && from[pos + 11] === 0x54;
  const plain =
    marks &&
    from[pos + 14] === 0x3a &&
    from[pos + 17] === 0x3a &&
    from[at] === 0x5a &&
    from[at + 1] === quote;
  if (!plain || !isDate(year, month, day) || !(hour <= 23 && minute <= 59 && second <= 59))
    return takeTime(from, pos, parseTimestamp);
  const seconds = daysBefore(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
  if (!isTimestampSecond(seconds)) throw irregular;
  seen.low = nanos;
  seen.pos = at + 2;
  return seconds;
}

function takePair(from: Uint8Array, pos: number): number {
  const tens = (from[pos] ?? 0) - zero;
  const ones = (from[pos + 1] ?? 0) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** The seconds of a duration, and its nanos into `seen.low`. */
export function takeDuration(from: Buffer, pos: number): number {
  return takeTime(from, pos, parseDuration);
}

function takeTime(from: Buffer, pos: number, parse: typeof parseDuration): number {
  const end = from.indexOf(quote, pos + 1);
  if (from[pos] !== quote || end < 0 || end - pos > 64) throw irregular;
  const parts = parse(from.toString("latin1", pos + 1, end));
  if (parts === undefined) throw irregular;
  seen.low = parts.nanos;
  seen.pos = end + 1;
  return parts.seconds;
}

/** The six bits of every base64 digit, both alphabets; 64 for other bytes. */
const base64Digits = Uint8Array.from({ length: 256 }, (_, code) => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const digit = letters.indexOf(String.fromCharCode(code));
  return digit >= 0 ? digit : code === 0x2d ? 62 : code === 0x5f ? 63 : 64;
});

/** How many bytes the base64 string at `pos` stands for. `seen.low` is the end of its digits, `seen.pos` that of the string. */
export function takeBase64Size(from: Uint8Array, pos: number): number {
  if (from[pos] !== quote) throw irregular;
  const start = pos + 1;
  let end = start;
  while (plainByte[from[end] ?? 0] === 1) end++;
  if (from[end] !== quote) throw irregular;
  seen.pos = end + 1;
  if ((end - start) % 4 === 0 && end > start && from[end - 1] === 0x3d) end -= from[end - 2] === 0x3d ? 2 : 1;
  if ((end - start) % 4 === 1) throw irregular;
  seen.low = end;
  return ((end - start) * 3) >> 2;
}

/** Decodes base64 digits from `start` to `end` into `out` at `pos`. */
export function decodeBase64(
  from: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  pos: number,
): void {
  let at = pos;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const a = base64Digits[from[i] ?? 0] ?? 64;
    const b = base64Digits[from[i + 1] ?? 0] ?? 64;
    const c = base64Digits[from[i + 2] ?? 0] ?? 64;
    const d = base64Digits[from[i + 3] ?? 0] ?? 64;
    if ((a | b | c | d) >= 64) throw irregular;
    out[at] = (a << 2) | (b >> 4);
    out[at + 1] = (b << 4) | (c >> 2);
    out[at + 2] = (c << 6) | d;
    at += 3;
  }
  if (i >= end) return;
  const a = base64Digits[from[i] ?? 0] ?? 64;
  const b = base64Digits[from[i + 1] ?? 0] ?? 64;
  const c = i + 2 < end ? (base64Digits[from[i + 2] ?? 0] ?? 64) : 0;
  if ((a | b | c) >= 64) throw irregular;
  out[at] = (a << 2) | (b >> 4);
  if (i + 2 < end) out[at + 1] = (b << 4) | (c >> 2);
}

/** The bytes that a base64 string stands for. */
export function takeBytes(from: Uint8Array, pos: number): Uint8Array {
  const bytes = new Uint8Array(takeBase64Size(from, pos));
  decodeBase64(from, pos + 1, seen.low, bytes, 0);
  return bytes;
}

const box = new BigInt64Array(1);
const unsignedBox = new BigUint64Array(box.buffer);
const halves = new Int32Array(box.buffer);
box[0] = 1n;
/** Where the lower half of a number is in the memory of this machine. */
const lowHalf = halves[0] === 1 ? 0 : 1;

/** The signed integer whose halves are in `seen`. */
export function seenInt64(): bigint {
  halves[lowHalf] = seen.low;
  halves[1 - lowHalf] = seen.high;
  return box[0] ?? 0n;
}

/** The unsigned integer whose halves are in `seen`. */
export function seenUint64(): bigint {
  halves[lowHalf] = seen.low;
  halves[1 - lowHalf] = seen.high;
  return unsignedBox[0] ?? 0n;
}
