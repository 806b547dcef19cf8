import { base64Digits } from "./base64-text.ts";
import { irregular, seen } from "./scratch.ts";
import { sliceIsCheap } from "./string-slices.ts";
import { plainByte } from "./take-json.ts";

// All functions take from `pos` of `from`, which is valid UTF-8, and store the position behind what they took in
// `seen.pos`. They throw `irregular` for whatever is not of the plain kind.

const quote = 0x22;

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
  return sliceIsCheap(at - start, all.length) ? all.slice(start, at) : from.toString("latin1", start, at);
}

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
