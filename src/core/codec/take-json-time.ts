import { irregular, seen } from "./scratch.ts";
import { daysBefore, isDate, isTimestampSecond, parseDuration, parseTimestamp } from "./time-text.ts";

// All functions take from `pos` of `from`, which is valid UTF-8, and store the position behind what they took in
// `seen.pos`. They throw `irregular` for whatever is not of the plain kind.

const quote = 0x22;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;

/** The seconds since 1970 of a timestamp, and its nanos into `seen.low`. */
export function takeTimestamp(from: Buffer, pos: number): number {
  const year = takePair(from, pos + 1) * 100 + takePair(from, pos + 3);
  const month = takePair(from, pos + 6);
  const day = takePair(from, pos + 9);
  const hour = takePair(from, pos + 12);
  const minute = takePair(from, pos + 15);
  const second = takePair(from, pos + 18);
  let nanos = 0;
  let at = pos + 20;
  if (from[at] === dot) {
    const start = ++at;
    let unit = 1_000_000_000;
    for (let code = from[at] ?? 0; code >= zero && code <= nine; code = from[++at] ?? 0)
      nanos += (unit /= 10) * (code - zero);
    if (at === start || at - start > 9) throw irregular;
  }
  const marks =
    from[pos] === quote && from[pos + 5] === minus && from[pos + 8] === minus && from[pos + 11] === 0x54;
  const plain =
    marks &&
    from[pos + 14] === 0x3a &&
    from[pos + 17] === 0x3a &&
    from[at] === 0x5a &&
    from[at + 1] === quote;
  if (!plain || !isDate(year, month, day) || !(hour <= 23 && minute <= 59 && second <= 59))
    return takeTime(from, pos, parseTimestamp);
  const seconds = daysBefore(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
  if (!isTimestampSecond(seconds)) throw irregular;
  seen.low = nanos;
  seen.pos = at + 2;
  return seconds;
}

function takePair(from: Uint8Array, pos: number): number {
  const tens = (from[pos] ?? 0) - zero;
  const ones = (from[pos + 1] ?? 0) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** The seconds of a duration, and its nanos into `seen.low`. */
export function takeDuration(from: Buffer, pos: number): number {
  return takeTime(from, pos, parseDuration);
}

function takeTime(from: Buffer, pos: number, parse: typeof parseDuration): number {
  const end = from.indexOf(quote, pos + 1);
  if (from[pos] !== quote || end < 0 || end - pos > 64) throw irregular;
  const parts = parse(from.toString("latin1", pos + 1, end));
  if (parts === undefined) throw irregular;
  seen.low = parts.nanos;
  seen.pos = end + 1;
  return parts.seconds;
}
