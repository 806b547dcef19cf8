import { putPadded } from "./put-json-numbers.ts";
import { putAscii } from "./put-json-text.ts";
import { full, irregular, slack } from "./scratch.ts";
import { formatDuration, formatTimestamp } from "./time-text.ts";

// All functions write at `pos` of `out` and return the position behind it, where `slack` bytes of room are free.

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
