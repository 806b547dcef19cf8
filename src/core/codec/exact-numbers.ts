const jsonNumber = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

const zero = 0x30;

/** Further than any integer type of protobuf reaches. */
const beyond = 10n ** 20n;

/**
 * The integer that a JSON number literal stands for, without rounding; undefined where it is no JSON number or no
 * integer. `1e3` and `1.0` are integers. Values of more than 20 digits come back as some value of at least 10^20.
 */
export function parseExactInteger(text: string): bigint | undefined {
  const found = jsonNumber.exec(text);
  if (found === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = found;
  const all = whole + fraction;
  // Loops, because a pattern such as /0+$/ is quadratic on long rows of zeros.
  let start = 0;
  let end = all.length;
  while (start < end && all.charCodeAt(start) === zero) start++;
  while (end > start && all.charCodeAt(end - 1) === zero) end--;
  if (start === end) return 0n;
  const shift = Number(exponent) - fraction.length + (all.length - end);
  if (shift < 0) return undefined;
  const magnitude = end - start + shift > 20 ? beyond : BigInt(all.slice(start, end)) * 10n ** BigInt(shift);
  return sign === "-" ? -magnitude : magnitude;
}

/** 1 to 10^15, which doubles hold exactly: the quotient of such a power and an integer of 15 digits is rounded once. */
export const powersOfTen: readonly number[] = Array.from({ length: 16 }, (_, exponent) =>
  Number(`1e${exponent}`),
);

/** The double that a JSON number literal stands for; undefined where it is no JSON number. */
export function parseExactDouble(text: string): number | undefined {
  return jsonNumber.test(text) ? Number(text) : undefined;
}

/**
 * The shortest decimal that reads back as the same 32-bit float, as C++ and Go print it.
 *
 * `value` has to be finite and a 32-bit float already (`Math.fround(value) === value`).
 */
export function formatFloat32(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1_000_000) return formatDouble(value);
  // Decimals of at most six digits stand apart in 32 bits, so the first one that reads back is the shortest.
  for (let scale = 10; scale <= 1_000_000; scale *= 10) {
    const scaled = Math.round(value * scale);
    if (scaled >= 1_000_000 || scaled <= -1_000_000) break;
    if (scaled !== 0 && Math.fround(scaled / scale) === value) return String(scaled / scale);
  }
  // Subnormal floats carry fewer digits: six may be more than the shortest text has.
  for (let precision = Math.abs(value) < 1.2e-38 ? 1 : 6; precision < 9; precision++) {
    const candidate = Number(value.toPrecision(precision));
    if (Math.fround(candidate) === value) return String(candidate);
  }
  return String(Number(value.toPrecision(9)));
}

/** The JSON of a double: the shortest number, or one of the strings of the mapping for what JSON has no number for. */
export function doubleJson(value: number): string {
  return value - value === 0 ? formatDouble(value) : notFiniteJson(value);
}

/** The JSON of a 32-bit float (`Math.fround(value) === value`), as {@link doubleJson}. */
export function floatJson(value: number): string {
  return value - value === 0 ? formatFloat32(value) : notFiniteJson(value);
}

function notFiniteJson(value: number): string {
  return Number.isNaN(value) ? '"NaN"' : value > 0 ? '"Infinity"' : '"-Infinity"';
}

/** The shortest decimal that reads back as the same double; minus zero keeps its sign. */
export function formatDouble(value: number): string {
  return value === 0 && Object.is(value, -0) ? "-0" : String(value);
}
