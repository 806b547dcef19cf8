import { isUtf8 } from "node:buffer";
import { base64Alphabet } from "./base64-text.ts";
import { full, fullBy, irregular, slack } from "./scratch.ts";
import { plainByte } from "./take-json.ts";

// All functions write at `pos` of `out` and return the position behind it, where `slack` bytes of room are free.

/** 1 for the bytes that a JSON string cannot hold as they are, and for those that are not ASCII. */
const special = plainByte.map((plain, code) => (plain === 1 && code < 0x80 ? 0 : 1));

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
    if (plainByte[code] === 0) at = putEscape(code, out, at);
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
export const nativeLength = 40;

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
    if (plainByte[out[i] ?? 0] === 0)
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

/** Writes a text as it is, which is mostly short and ASCII. */
export function putPlain(text: string, out: Buffer, pos: number): number {
  const { length } = text;
  if (pos + length * 3 + slack > out.length) throw full;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return pos + out.write(text, pos);
    out[pos + i] = code;
  }
  return pos + length;
}

/** Writes a text as it is. */
export function putUnicode(text: string, out: Buffer, pos: number): number {
  if (pos + text.length * 3 + slack > out.length) throw fullBy(pos + text.length * 3);
  return pos + out.write(text, pos);
}

/** Copies prepared bytes. */
export function putBytes(bytes: Uint8Array, out: Buffer, pos: number): number {
  const { length } = bytes;
  if (pos + length + slack > out.length) throw fullBy(pos + length);
  for (let i = 0; i < length; i++) out[pos + i] = bytes[i] ?? 0;
  return pos + length;
}

const digits = Buffer.from(base64Alphabet);

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
