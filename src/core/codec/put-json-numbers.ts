import { doubleJson, floatJson } from "./exact-numbers.ts";
import { splitInt64 } from "./int64-halves.ts";
import { putAscii } from "./put-json-text.ts";
import { full, seen, slack } from "./scratch.ts";

// All functions write at `pos` of `out` and return the position behind it, where `slack` bytes of room are free.

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
  // Division by 10^9, 16 bits at a time, so that every step has an exact result.
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

/** Writes a bigint of at most 64 bits. */
export function putBigInt(value: bigint, out: Buffer, pos: number): number {
  const near = Number(value);
  if (near > -9e18 && near < 9e18) {
    splitInt64(value);
    return putInt64(seen.low, seen.high, out, pos);
  }
  return putAscii(value.toString(), out, pos);
}

/** Writes a double; values that are no numbers as the strings of the mapping. */
export function putDouble(value: number, out: Buffer, pos: number): number {
  const whole = value | 0;
  if (whole === value && (whole !== 0 || !Object.is(value, -0))) return putInteger(whole, out, pos);
  return putFraction(value, out, pos) ?? putAscii(doubleJson(value), out, pos);
}

/** Writes a float that came as a double of 32 bits; values that are no numbers as the strings of the mapping. */
export function putFloat(value: number, out: Buffer, pos: number): number {
  const whole = value | 0;
  if (whole === value && whole < 1_000_000 && whole > -1_000_000 && whole !== 0)
    return putInteger(whole, out, pos);
  return putAscii(floatJson(value), out, pos);
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
