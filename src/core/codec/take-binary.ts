import { irregular, seen } from "./scratch.ts";

// All functions take from `pos` of `from` and store the position behind what they took in `seen.pos`.

/** The rest of a 32-bit varint whose first byte, with the continuation bit, was read already. */
export function takeVarint32(from: Uint8Array, pos: number, first: number): number {
  let value = first & 0x7f;
  let at = pos;
  for (let shift = 7; shift < 35; shift += 7) {
    const byte = from[at++];
    if (byte === undefined) throw irregular;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      seen.pos = at;
      return value >>> 0;
    }
  }
  // The upper half of negative numbers.
  for (let rest = 0; rest < 5; rest++) {
    const byte = from[at++];
    if (byte === undefined) throw irregular;
    if (byte < 0x80) {
      seen.pos = at;
      return value >>> 0;
    }
  }
  throw irregular;
}

/** The rest of a tag whose first byte was read already; only tags of at most four bytes are regular. */
export function takeTag(from: Uint8Array, pos: number, first: number): number {
  const tag = takeVarint32(from, pos, first);
  if (seen.pos - pos > 3) throw irregular;
  return tag;
}

/** A 64-bit varint, into `seen.low` and `seen.high`. */
export function takeVarint64(from: Uint8Array, pos: number): void {
  let low = 0;
  let high = 0;
  let at = pos;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = from[at++];
    if (byte === undefined) throw irregular;
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high = bits >> 4;
    } else high |= bits << (shift - 32);
    if (byte < 0x80) {
      seen.low = low;
      seen.high = high;
      seen.pos = at;
      return;
    }
  }
  throw irregular;
}

/** A zigzag varint of 64 bits, into `seen.low` and `seen.high`. */
export function takeZigzag64(from: Uint8Array, pos: number): void {
  takeVarint64(from, pos);
  const { low, high } = seen;
  const sign = -(low & 1);
  seen.low = ((low >>> 1) | ((high & 1) << 31)) ^ sign;
  seen.high = (high >>> 1) ^ sign;
}

/** The seconds (the result) and nanos (`seen.low`) of a Timestamp or Duration with each field once and in order. */
export function takeTime(from: Uint8Array, pos: number, end: number): number {
  let at = pos;
  let seconds = 0;
  let nanos = 0;
  if (at < end && from[at] === 0x08) {
    takeVarint64(from, at + 1);
    at = seen.pos;
    seconds = seen.high * 0x1_0000_0000 + (seen.low >>> 0);
  }
  if (at < end && from[at] === 0x10) {
    const first = from[at + 1] ?? 0;
    nanos = first;
    at += 2;
    if (first > 0x7f) {
      nanos = takeVarint32(from, at, first) | 0;
      at = seen.pos;
    }
  }
  if (at !== end) throw irregular;
  seen.low = nanos;
  return seconds;
}

/** Steps over the value of a field. */
export function skipValue(from: Uint8Array, pos: number, tag: number): number {
  switch (tag & 7) {
    case 0: {
      let at = pos;
      while ((from[at++] ?? 0) > 0x7f);
      return at;
    }
    case 1:
      return pos + 8;
    case 2: {
      const first = from[pos] ?? 0;
      if (first < 0x80) return pos + 1 + first;
      const length = takeVarint32(from, pos + 1, first);
      return seen.pos + length;
    }
    case 3:
      return skipGroup(from, pos, tag);
    case 5:
      return pos + 4;
    default:
      throw irregular;
  }
}

function skipGroup(from: Uint8Array, pos: number, start: number): number {
  let at = pos;
  while (at < from.length) {
    let tag = from[at++] ?? 0;
    if (tag > 0x7f) {
      tag = takeTag(from, at, tag);
      at = seen.pos;
    }
    // The end of a group has the number of its beginning.
    if (tag === start + 1) return at;
    if (tag >>> 3 === 0) throw irregular;
    at = skipValue(from, at, tag);
  }
  throw irregular;
}

/** Longer texts are looked at by native code. */
const shortText = 32;

/** The text of bytes of UTF-8; others are irregular. */
export function takeUtf8(from: Buffer, start: number, end: number): string {
  if (end - start > shortText) return nativeUtf8(from, start, end);
  for (let at = start; at < end; at++) {
    if ((from[at] ?? 0) > 0x7f) return nativeUtf8(from, start, end);
  }
  return from.toString("latin1", start, end);
}

function nativeUtf8(from: Buffer, start: number, end: number): string {
  const text = from.toString("utf8", start, end);
  // A replacement character may have been sent as such, or stand for what is no UTF-8.
  if (text.includes("\ufffd")) throw irregular;
  return text;
}
