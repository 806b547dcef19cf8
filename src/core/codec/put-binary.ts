import type { Message } from "@bufbuild/protobuf";
import { nativeLength, putBytes } from "./put-json-text.ts";
import { full, fullBy, irregular, seen, slack } from "./scratch.ts";
import { decodeBase64, takeBase64Size, takeEscapedText } from "./take-json-text.ts";
import { plainByte } from "./take-json.ts";

// All functions write at `pos` of `out` and return the position behind it, where `slack` bytes of room are free.

/** Writes the varint of a number of 32 bits without sign. */
export function putVarint32(value: number, out: Uint8Array, pos: number): number {
  if (pos + slack > out.length) throw full;
  let rest = value;
  let at = pos;
  while (rest > 0x7f) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** Writes the varint of a 32-bit number with sign: ten bytes for negative ones. */
export function putSigned32(value: number, out: Uint8Array, pos: number): number {
  return value >= 0 ? putVarint32(value, out, pos) : putVarint64(value, -1, out, pos);
}

/** Writes the varint of a 64-bit number. */
export function putVarint64(low: number, high: number, out: Uint8Array, pos: number): number {
  if (pos + slack > out.length) throw full;
  let at = pos;
  let lower = low >>> 0;
  let upper = high >>> 0;
  while (upper !== 0 || lower > 0x7f) {
    out[at++] = (lower & 0x7f) | 0x80;
    lower = ((lower >>> 7) | (upper << 25)) >>> 0;
    upper >>>= 7;
  }
  out[at++] = lower;
  return at;
}

/** Writes the zigzag varint of a 64-bit number. */
export function putZigzag64(low: number, high: number, out: Uint8Array, pos: number): number {
  const sign = high >> 31;
  return putVarint64((low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign, out, pos);
}

/** Writes a length into the byte that was reserved at `start`; moves the bytes from there to `pos` where it needs more than one. */
export function putLength(out: Uint8Array, start: number, pos: number): number {
  const length = pos - start - 1;
  if (length < 0x80) {
    out[start] = length;
    return pos;
  }
  if (pos + slack > out.length) throw full;
  const size = varintSize(length);
  out.copyWithin(start + size, start + 1, pos);
  putVarint32(length, out, start);
  return start + size + length;
}

/** Writes the JSON string at `from` with its length; `seen.pos` is behind its closing quote. */
export function putJsonText(from: Buffer, start: number, out: Buffer, pos: number): number {
  if (from[start] !== 0x22) throw irregular;
  let i = start + 1;
  let at = pos + 1;
  let code = from[i] ?? 0;
  while (plainByte[code] === 1) {
    out[at++] = code;
    code = from[++i] ?? 0;
  }
  if (code !== 0x22) {
    const text = takeEscapedText(from, start, i);
    if (pos + text.length * 3 + slack > out.length) throw full;
    return putLength(out, pos, pos + 1 + out.write(text, pos + 1));
  }
  seen.pos = i + 1;
  if (at + slack > out.length) throw full;
  return putLength(out, pos, at);
}

/** Writes the bytes of the base64 string at `start` with their length; `seen.pos` is behind its closing quote. */
export function putJsonBytes(from: Buffer, start: number, out: Buffer, pos: number): number {
  const size = takeBase64Size(from, start);
  if (pos + size + slack > out.length) throw full;
  const at = putVarint32(size, out, pos);
  decodeBase64(from, start + 1, seen.low, out, at);
  return at + size;
}

/** Writes a Timestamp or Duration with its length. */
export function putTime(seconds: number, nanos: number, out: Uint8Array, pos: number): number {
  if (pos + slack > out.length) throw full;
  let at = pos + 1;
  if (seconds !== 0) {
    out[at] = 0x08;
    at = putVarint64((seconds % 0x1_0000_0000) | 0, Math.floor(seconds / 0x1_0000_0000), out, at + 1);
  }
  if (nanos !== 0) {
    out[at] = 0x10;
    at = putSigned32(nanos, out, at + 1);
  }
  out[pos] = at - pos - 1;
  return at;
}

/** Writes a text as UTF-8 with its length; lone surrogates become U+FFFD. */
export function putSizedText(text: string, out: Buffer, pos: number): number {
  const { length } = text;
  if (pos + length * 3 + slack > out.length) throw fullBy(pos + length * 3);
  if (length < nativeLength) {
    let at = pos + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return putLongText(text, out, pos);
      out[at++] = code;
    }
    out[pos] = length;
    return at;
  }
  return putLongText(text, out, pos);
}

function putLongText(text: string, out: Buffer, pos: number): number {
  // Where the text is ASCII, as most is, it need not move.
  const start = putVarint32(text.length, out, pos);
  const length = out.write(text, start);
  if (length === text.length) return start + length;
  const moved = pos + varintSize(length);
  if (moved !== start) out.copyWithin(moved, start, start + length);
  putVarint32(length, out, pos);
  return moved + length;
}

/** Writes bytes with their length. */
export function putSizedBytes(bytes: Uint8Array, out: Buffer, pos: number): number {
  const { length } = bytes;
  if (pos + length + slack > out.length) throw fullBy(pos + length);
  return copyTo(out, bytes, putVarint32(length, out, pos));
}

/** Writes fields that a message holds without knowing them, as they came. */
export function putUnknown(fields: NonNullable<Message["$unknown"]>, out: Buffer, pos: number): number {
  let at = pos;
  for (const { no, wireType, data } of fields) {
    at = putVarint32(((no << 3) | wireType) >>> 0, out, at);
    if (at + data.length + slack > out.length) throw fullBy(at + data.length);
    at = copyTo(out, data, at);
  }
  return at;
}

function copyTo(out: Buffer, bytes: Uint8Array, pos: number): number {
  if (bytes.length < nativeLength) return putBytes(bytes, out, pos);
  out.set(bytes, pos);
  return pos + bytes.length;
}

function varintSize(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5;
}
