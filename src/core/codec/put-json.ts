import { isUtf8 } from "node:buffer";
import { formatDouble, formatFloat32 } from "./exact-numbers.ts";
import { full, irregular, slack } from "./scratch.ts";
import { formatDuration, formatTimestamp } from "./time-text.ts";

// All functions write at `pos` of `out`, return the position behind it, and leave `slack` bytes of room there.

/** 1 for the bytes that a JSON string cannot hold as they are, and for those that are not ASCII. */
const special = Uint8Array.from({ length: 256 }, (_, code) =>
  code < 0x20 || code === 0x22 || code === 0x5c || code >= 0x80 ? 1 : 0,
);

/** 1 for the bytes that a JSON string cannot hold as they are. */
const escaped = Uint8Array.from({ length: 256 }, (_, code) =>
  code < 0x20 || code === 0x22 || code === 0x5c ? 1 : 0,
);

/** Copies UTF-8 bytes as the inside of a JSON string. */
export function putUtf8(from: Buffer, start: number, length: number, out: Buffer, pos: number): number {
  const end = start + length;
  if (!(end <= from.length)) throw irregular;
  if (pos + length + slack > out.length) throw full;
  let at = pos;
  for (let i = start; i < end; i++) {
    const code = from[i] ?? 0;
    if (special[code] === 1) return putSpecial(from, i, end, out, at);
    out[at++] = code;
  }
  return at;
}

function putSpecial(from: Buffer, start: number, end: number, out: Buffer, pos: number): number {
  if (!isUtf8(from.subarray(start, end))) throw irregular;
  if (pos + (end - start) * 6 + slack > out.length) throw full;
  let at = pos;
  for (let i = start; i < end; i++) {
    const code = from[i] ?? 0;
    if (escaped[code] === 1) at = putEscape(code, out, at);
    else out[at++] = code;
  }
  return at;
}

/** The letter behind the backslash, by character code. */
const shortEscapes = new Map<number, number>(
  ["\b", "\t", "\n", "\f", "\r", '"', "\\"].map((text) => [
    text.charCodeAt(0),
    JSON.stringify(text).charCodeAt(2),
  ]),
);

const hexDigits = Buffer.from("0123456789abcdef");

function putEscape(code: number, out: Buffer, pos: number): number {
  out[pos] = 0x5c;
  const letter = shortEscapes.get(code);
  if (letter !== undefined) {
    out[pos + 1] = letter;
    return pos + 2;
  }
  out[pos + 1] = 0x75;
  out[pos + 2] = 0x30;
  out[pos + 3] = 0x30;
  out[pos + 4] = hexDigits[code >> 4] ?? 0;
  out[pos + 5] = hexDigits[code & 15] ?? 0;
  return pos + 6;
}

/** From this length on, the call into native code costs less than it saves. */
const nativeLength = 40;

/** Writes a text as the inside of a JSON string; lone surrogates become U+FFFD. */
export function putText(text: string, out: Buffer, pos: number): number {
  const { length } = text;
  if (pos + length * 6 + slack > out.length) throw full;
  if (length >= nativeLength) return putLongText(text, out, pos);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80 || special[code] === 1) return putLongText(text, out, pos);
    out[pos + i] = code;
  }
  return pos + length;
}

function putLongText(text: string, out: Buffer, pos: number): number {
  // Lone surrogates become U+FFFD here.
  const end = pos + out.write(text, pos);
  for (let i = pos; i < end; i++) {
    if (escaped[out[i] ?? 0] === 1)
      return pos + out.write(JSON.stringify(text.toWellFormed()).slice(1, -1), pos);
  }
  return end;
}

/** Writes an ASCII text as it is. */
export function putAscii(text: string, out: Buffer, pos: number): number {
  const { length } = text;
  if (pos + length + slack > out.length) throw full;
  for (let i = 0; i < length; i++) out[pos + i] = text.charCodeAt(i);
  return pos + length;
}

/** Writes a text as it is. */
export function putUnicode(text: string, out: Buffer, pos: number): number {
  if (pos + text.length * 3 + slack > out.length) throw full;
  return pos + out.write(text, pos);
}

/** Copies prepared bytes. */
export function putBytes(bytes: Uint8Array, out: Buffer, pos: number): number {
  const { length } = bytes;
  if (pos + length + slack > out.length) throw full;
  for (let i = 0; i < length; i++) out[pos + i] = bytes[i] ?? 0;
  return pos + length;
}

/** Writes an integer of at most 53 bits. */
export function putInteger(value: number, out: Buffer, pos: number): number {
  if (pos + slack > out.length) throw full;
  if (value >= 0) return putDigits(value, out, pos);
  out[pos] = 0x2d;
  return putDigits(-value, out, pos + 1);
}

function putDigits(value: number, out: Buffer, pos: number): number {
  if (value < 10) {
    out[pos] = 0x30 + value;
    return pos + 1;
  }
  if (value < 100) {
    const tens = (value / 10) | 0;
    out[pos] = 0x30 + tens;
    out[pos + 1] = 0x30 + value - tens * 10;
    return pos + 2;
  }
  if (value >= 1e9) {
    const high = Math.floor(value / 1e9);
    return putPadded(value - high * 1e9, 9, out, putDigits(high, out, pos));
  }
  return putPadded(value, digitCount(value), out, pos);
}

function digitCount(value: number): number {
  if (value < 1e4) return value < 1e3 ? 3 : 4;
  if (value < 1e6) return value < 1e5 ? 5 : 6;
  if (value < 1e8) return value < 1e7 ? 7 : 8;
  return 9;
}

/** Writes the last `count` digits of an integer below 10^9. */
export function putPadded(value: number, count: number, out: Buffer, pos: number): number {
  let rest = value | 0;
  for (let i = pos + count - 1; i >= pos; i--) {
    const next = (rest / 10) | 0;
    out[i] = 0x30 + rest - next * 10;
    rest = next;
  }
  return pos + count;
}

/** Writes an unsigned 64-bit integer from its halves, of which only the bits count. */
export function putUint64(low: number, high: number, out: Buffer, pos: number): number {
  if (pos + slack > out.length) throw full;
  const top = high >>> 0;
  if (top < 0x20_0000) return putDigits(top * 0x1_0000_0000 + (low >>> 0), out, pos);
  // Division by 10^9, 16 bits at a time: no step leaves the exact integers of a double.
  const first = Math.floor(top / 1e9);
  const second = (top - first * 1e9) * 65_536 + (low >>> 16);
  const secondDigit = Math.floor(second / 1e9);
  const third = (second - secondDigit * 1e9) * 65_536 + (low & 0xffff);
  const thirdDigit = Math.floor(third / 1e9);
  const quotient = first * 0x1_0000_0000 + secondDigit * 65_536 + thirdDigit;
  return putPadded(third - thirdDigit * 1e9, 9, out, putDigits(quotient, out, pos));
}

/** Writes a signed 64-bit integer from its halves, of which only the bits count. */
export function putInt64(low: number, high: number, out: Buffer, pos: number): number {
  if (high >> 31 === 0) return putUint64(low, high, out, pos);
  if (pos + slack > out.length) throw full;
  out[pos] = 0x2d;
  return putUint64(-low, low === 0 ? -high : ~high, out, pos + 1);
}

/** Whether a signed 64-bit integer has at most 53 bits. */
export function isSafeInt64(low: number, high: number): boolean {
  const top = high | 0;
  return top < 0x20_0000 && (top > -0x20_0000 || (top === -0x20_0000 && low !== 0));
}

const box = new BigInt64Array(1);
const halves = new Int32Array(box.buffer);
// The halves of a number in the memory of this machine.
box[0] = 1n;
const lowHalf = halves[0] === 1 ? 0 : 1;

/** Writes a bigint of at most 64 bits. */
export function putBigInt(value: bigint, out: Buffer, pos: number): number {
  const near = Number(value);
  if (near > -9e18 && near < 9e18) {
    box[0] = value;
    return putInt64(halves[lowHalf] ?? 0, halves[1 - lowHalf] ?? 0, out, pos);
  }
  return putAscii(value.toString(), out, pos);
}

/** Writes a double; values that are no numbers as the strings of the mapping. */
export function putDouble(value: number, out: Buffer, pos: number): number {
  const whole = value | 0;
  if (whole === value && (whole !== 0 || !Object.is(value, -0))) return putInteger(whole, out, pos);
  return (
    putFraction(value, out, pos) ??
    putAscii(value - value === 0 ? formatDouble(value) : notFinite(value), out, pos)
  );
}

/** Writes a float that came as a double of 32 bits; values that are no numbers as the strings of the mapping. */
export function putFloat(value: number, out: Buffer, pos: number): number {
  const whole = value | 0;
  if (whole === value && whole < 1_000_000 && whole > -1_000_000 && whole !== 0)
    return putInteger(whole, out, pos);
  return putAscii(value - value === 0 ? formatFloat32(value) : notFinite(value), out, pos);
}

/** Writes numbers such as 12.75 that have at most three decimals, which are the shortest text if they read back. */
function putFraction(value: number, out: Buffer, pos: number): number | undefined {
  const size = Math.abs(value);
  if (!(size < 1e6 && size >= 1e-3)) return undefined;
  const scaled = Math.round(size * 1000);
  if (scaled / 1000 !== size) return undefined;
  if (pos + slack > out.length) throw full;
  if (value < 0) out[pos++] = 0x2d;
  const whole = (scaled / 1000) | 0;
  let at = putDigits(whole, out, pos);
  out[at] = 0x2e;
  at = putPadded(scaled - whole * 1000, 3, out, at + 1);
  while (out[at - 1] === 0x30) at--;
  return at;
}

function notFinite(value: number): string {
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

const digits = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

/** Writes bytes as standard base64 with padding. */
export function putBase64(from: Uint8Array, start: number, length: number, out: Buffer, pos: number): number {
  if (!(start + length <= from.length)) throw irregular;
  if (pos + length * 1.5 + slack > out.length) throw full;
  const whole = start + length - (length % 3);
  let at = pos;
  let i = start;
  for (; i < whole; i += 3) {
    const bits = ((from[i] ?? 0) << 16) | ((from[i + 1] ?? 0) << 8) | (from[i + 2] ?? 0);
    out[at] = digits[bits >> 18] ?? 0;
    out[at + 1] = digits[(bits >> 12) & 63] ?? 0;
    out[at + 2] = digits[(bits >> 6) & 63] ?? 0;
    out[at + 3] = digits[bits & 63] ?? 0;
    at += 4;
  }
  if (length % 3 === 0) return at;
  const two = length % 3 === 2;
  const bits = ((from[i] ?? 0) << 16) | (two ? (from[i + 1] ?? 0) << 8 : 0);
  out[at] = digits[bits >> 18] ?? 0;
  out[at + 1] = digits[(bits >> 12) & 63] ?? 0;
  out[at + 2] = two ? (digits[(bits >> 6) & 63] ?? 0) : 0x3d;
  out[at + 3] = 0x3d;
  return at + 4;
}

/** The bytes of days, such as `2026-03-01T`, that timestamps had lately. */
const knownDays = new Float64Array(256).fill(NaN);
const knownDates = Buffer.alloc(256 * 11);

/** Writes a timestamp without quotes. */
export function putTimestamp(seconds: number, nanos: number, out: Buffer, pos: number): number {
  if (pos + slack > out.length) throw full;
  const day = Math.floor(seconds / 86_400);
  const slot = day & 255;
  const date = slot * 11;
  if (knownDays[slot] !== day) {
    const text = formatTimestamp(day * 86_400, 0);
    if (text === undefined) throw irregular;
    knownDates.write(text.slice(0, 11), date, "latin1");
    knownDays[slot] = day;
  }
  if (!(nanos >= 0 && nanos <= 999_999_999)) throw irregular;
  for (let i = 0; i < 11; i++) out[pos + i] = knownDates[date + i] ?? 0;
  const rest = seconds - day * 86_400;
  const hour = (rest / 3600) | 0;
  const minute = ((rest / 60) | 0) - hour * 60;
  const second = rest - hour * 3600 - minute * 60;
  putPadded(hour, 2, out, pos + 11);
  out[pos + 13] = 0x3a;
  putPadded(minute, 2, out, pos + 14);
  out[pos + 16] = 0x3a;
  putPadded(second, 2, out, pos + 17);
  const at = nanos === 0 ? pos + 19 : putNanos(nanos, out, pos + 19);
  out[at] = 0x5a;
  return at + 1;
}

/** Writes nanoseconds as 3, 6 or 9 digits after a dot. */
function putNanos(nanos: number, out: Buffer, pos: number): number {
  out[pos] = 0x2e;
  if (nanos % 1_000_000 === 0) return putPadded(nanos / 1_000_000, 3, out, pos + 1);
  if (nanos % 1_000 === 0) return putPadded(nanos / 1_000, 6, out, pos + 1);
  return putPadded(nanos, 9, out, pos + 1);
}

/** Writes a duration without quotes. */
export function putDuration(seconds: number, nanos: number, out: Buffer, pos: number): number {
  const text = formatDuration(seconds, nanos);
  if (text === undefined) throw irregular;
  return putAscii(text, out, pos);
}
