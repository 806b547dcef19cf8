import type { TimeParts } from "../../core/codec/time-text.ts";

const goDuration = /^-?(?:(?:[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:ns|us|µs|μs|ms|s|m|h))+$/;
const part = /([0-9]*)(?:\.([0-9]*))?([a-zµμ]+)/g;

const nanosIn: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Range of `google.protobuf.Duration`: about 10,000 years. */
const longest = 315_576_000_000n * 1_000_000_000n;

/**
 * Reads a duration as Go's `time.ParseDuration` does, such as `1h30m`, `1.5s`, `-2ms` or `0`; undefined for other texts
 * and beyond the range of `google.protobuf.Duration`. Fractions of a nanosecond are truncated.
 */
export function parseGoDuration(text: string): TimeParts | undefined {
  if (text === "0") return { seconds: 0, nanos: 0 };
  if (text.length > 100 || !goDuration.test(text)) return undefined;
  let nanos = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of text.matchAll(part)) {
    const scale = nanosIn[unit] ?? 0n;
    nanos +=
      BigInt(whole || "0") * scale + (BigInt(fraction || "0") * scale) / 10n ** BigInt(fraction.length);
  }
  if (nanos > longest) return undefined;
  const signed = text.startsWith("-") ? -nanos : nanos;
  return { seconds: Number(signed / 1_000_000_000n), nanos: Number(signed % 1_000_000_000n) };
}
