import { irregular, seen } from "./scratch.ts";

// All functions take from `pos` of `from`, which is valid UTF-8, and store the position behind what they took in
// `seen.pos`. They throw `irregular` for whatever is not of the plain kind.

const quote = 0x22;

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

/** Takes `true` or `false`. */
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

/** The position behind a value whose syntax is not checked here. */
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
