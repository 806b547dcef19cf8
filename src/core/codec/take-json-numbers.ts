import { parseExactDouble, powersOfTen } from "./exact-numbers.ts";
import { splitInt64 } from "./int64-halves.ts";
import { integerRanges } from "./scalar-kinds.ts";
import { irregular, seen } from "./scratch.ts";

// All functions take from `pos` of `from`, which is valid UTF-8, and store the position behind what they took in
// `seen.pos`. They throw `irregular` for whatever is not of the plain kind.

const quote = 0x22;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;

/** Takes an `int32`, quoted or not. */
export function takeInt32(from: Uint8Array, pos: number): number {
  const value = takeShortInteger(from, pos);
  if ((value | 0) !== value) throw irregular;
  return value | 0;
}

/** Takes a `uint32`, quoted or not. */
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
  // Nine digits each, so that every step has an exact result.
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
  if (count > 18) {
    const value = BigInt(from.toString("latin1", negative ? first - 1 : first, at));
    const { min, max } = signed ? integerRanges.int64 : integerRanges.uint64;
    if (value < min || value > max) throw irregular;
    return splitInt64(value);
  }
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

/** Takes a double: a number, or a string with a number or with `NaN`, `Infinity`, `-Infinity`. */
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

/** Takes a 32-bit float, as {@link takeDouble}. */
export function takeFloat(from: Buffer, pos: number): number {
  const value = takeDouble(from, pos);
  const rounded = Math.fround(value);
  if (rounded - rounded !== 0 && value - value === 0) throw irregular;
  return rounded;
}
