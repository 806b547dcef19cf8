/** A point in time or a span as `google.protobuf.Timestamp` and `Duration` hold it. */
export interface TimeParts {
  /** Whole seconds; of a Timestamp since 1970-01-01T00:00:00Z. */
  readonly seconds: number;
  readonly nanos: number;
}

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds: the range of a Timestamp in JSON. */
const earliest = -62_135_596_800;
const latest = 253_402_300_799;

/** About 10,000 years in seconds: the range of a Duration in JSON. */
const longest = 315_576_000_000;

const daySeconds = 86_400;
const nanosPerSecond = 1_000_000_000;

const zero = 0x30;
const nine = 0x39;

const durationText = /^(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s$/;

const monthLengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const twoDigits = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, "0"));
const threeDigits = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, "0"));
const minuteTexts = Array.from(
  { length: 1440 },
  (_, minute) => `T${twoDigits[Math.floor(minute / 60)]}:${twoDigits[minute % 60]}:`,
);

/**
 * Reads an RFC 3339 timestamp with at most nine fraction digits and an offset, as the JSON mapping of
 * `google.protobuf.Timestamp` has it; undefined for any other text and outside of the years 1 to 9999.
 */
export function parseTimestamp(text: string): TimeParts | undefined {
  const year = digitsAt(text, 0) * 100 + digitsAt(text, 2);
  const month = digitsAt(text, 5);
  const day = digitsAt(text, 8);
  const hour = digitsAt(text, 11);
  const minute = digitsAt(text, 14);
  const second = digitsAt(text, 17);
  if (!isDate(year, month, day) || !(hour <= 23 && minute <= 59 && second <= 59)) return undefined;
  if (text[4] !== "-" || text[7] !== "-" || text[10] !== "T" || text[13] !== ":" || text[16] !== ":")
    return undefined;
  let nanos = 0;
  let end = 19;
  if (text[end] === ".") {
    let unit = nanosPerSecond;
    let code = text.charCodeAt(++end);
    for (; code >= zero && code <= nine; code = text.charCodeAt(++end)) nanos += (unit /= 10) * (code - zero);
    if (end === 20 || end > 29) return undefined;
  }
  const offset = offsetSeconds(text, end);
  if (offset === undefined) return undefined;
  const seconds = daysBefore(year, month, day) * daySeconds + hour * 3600 + minute * 60 + second - offset;
  return isTimestampSecond(seconds) ? { seconds, nanos } : undefined;
}

/** Whether there is such a day from year 0 on; false for NaN, which stands for what are no digits. */
export function isDate(year: number, month: number, day: number): boolean {
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= (monthLengths[month - 1] ?? 0)))
    return false;
  return month !== 2 || day !== 29 || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

/** Whether seconds since 1970-01-01T00:00:00Z are within the years 1 to 9999. */
export function isTimestampSecond(seconds: number): boolean {
  return seconds >= earliest && seconds <= latest;
}

/** The number of the two digits at `pos`; NaN where there are others. */
function digitsAt(text: string, pos: number): number {
  const tens = text.charCodeAt(pos) - zero;
  const ones = text.charCodeAt(pos + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}

/** The offset from UTC, `Z` or `+01:30`, that ends a timestamp at `pos`. */
function offsetSeconds(text: string, pos: number): number | undefined {
  const sign = text[pos];
  if (sign === "Z") return text.length === pos + 1 ? 0 : undefined;
  const hours = digitsAt(text, pos + 1);
  const minutes = digitsAt(text, pos + 4);
  if ((sign !== "+" && sign !== "-") || text[pos + 3] !== ":" || text.length !== pos + 6) return undefined;
  if (!(hours <= 23 && minutes <= 59)) return undefined;
  return (sign === "-" ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/** Prints a timestamp with 0, 3, 6 or 9 fraction digits; undefined where the JSON mapping has no text for it. */
export function formatTimestamp(seconds: number, nanos: number): string | undefined {
  if (
    !(seconds >= earliest && seconds <= latest) ||
    !(nanos >= 0 && nanos < nanosPerSecond && Number.isInteger(nanos))
  )
    return undefined;
  const day = Math.floor(seconds / daySeconds);
  const rest = seconds - day * daySeconds;
  const minute = Math.floor(rest / 60);
  const fraction = nanos === 0 ? "Z" : `${fractionText(nanos)}Z`;
  return dateText(day) + minuteTexts[minute] + twoDigits[rest - minute * 60] + fraction;
}

/** Reads a duration such as `1.5s` or `-3s`; undefined for other texts and beyond 10,000 years. */
export function parseDuration(text: string): TimeParts | undefined {
  const found = durationText.exec(text);
  if (found === null) return undefined;
  const [, sign, whole = "", fraction = ""] = found;
  const seconds = Number(whole);
  const nanos = Number(fraction.padEnd(9, "0"));
  if (seconds > longest) return undefined;
  // Adding zero turns -0 into 0.
  return sign === "-" ? { seconds: -seconds + 0, nanos: -nanos + 0 } : { seconds, nanos };
}

/** Prints a duration with 0, 3, 6 or 9 fraction digits; undefined where it is out of range or its signs differ. */
export function formatDuration(seconds: number, nanos: number): string | undefined {
  if (!(Math.abs(seconds) <= longest) || !(Math.abs(nanos) < nanosPerSecond && Number.isInteger(nanos)))
    return undefined;
  if ((seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) return undefined;
  const sign = seconds < 0 || nanos < 0 ? "-" : "";
  return `${sign}${Math.abs(seconds)}${nanos === 0 ? "" : fractionText(Math.abs(nanos))}s`;
}

/** Nanoseconds as 3, 6 or 9 digits after a dot. */
function fractionText(nanos: number): string {
  const millis = `.${threeDigits[Math.floor(nanos / 1_000_000)]}`;
  if (nanos % 1_000_000 === 0) return millis;
  const micros = millis + threeDigits[Math.floor(nanos / 1_000) % 1_000];
  return nanos % 1_000 === 0 ? micros : micros + threeDigits[nanos % 1_000];
}

/**
 * Days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years begin in March here, so that the leap
 * day is the last one and months have regular offsets: (153 m + 2) / 5 days before month m.
 */
export function daysBefore(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The inverse of `daysBefore`, as `YYYY-MM-DD`. */
function dateText(days: number): string {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${twoDigits[Math.floor(year / 100)]}${twoDigits[year % 100]}-${twoDigits[month]}-${twoDigits[day]}`;
}
