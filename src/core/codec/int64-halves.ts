import { integerRanges } from "./scalar-kinds.ts";
import { irregular, seen } from "./scratch.ts";

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

/** Puts the halves of the lower 64 bits of an integer into `seen`. */
export function splitInt64(value: bigint): void {
  box[0] = value;
  seen.low = halves[lowHalf] ?? 0;
  seen.high = halves[1 - lowHalf] ?? 0;
}

/** As {@link splitInt64}; an integer that has no 64 bits with sign is irregular. */
export function splitCheckedInt64(value: bigint): void {
  splitChecked(value, integerRanges.int64);
}

/** As {@link splitInt64}; an integer that has no 64 bits without sign is irregular. */
export function splitCheckedUint64(value: bigint): void {
  splitChecked(value, integerRanges.uint64);
}

function splitChecked(value: bigint, { min, max }: { readonly min: bigint; readonly max: bigint }): void {
  const number = Number(value);
  if (Number.isSafeInteger(number) && (number >= 0 || min < 0n)) {
    // Most are such, for which no other bigint is needed.
    seen.low = number | 0;
    seen.high = Math.floor(number / 0x1_0000_0000);
    return;
  }
  if (value < min || value > max) throw irregular;
  splitInt64(value);
}
