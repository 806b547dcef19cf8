import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
} from "../../../src/core/codec/time-text.ts";

test("timestamps of all years are printed and read as by Date", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
      fc.nat(999),
      (seconds, millis) => {
        const text = formatTimestamp(seconds, millis * 1_000_000);
        assert.equal(text, new Date(seconds * 1000 + millis).toISOString().replace(".000Z", "Z"));
        assert.deepEqual(parseTimestamp(text ?? ""), { seconds, nanos: millis * 1_000_000 });
      },
    ),
    { numRuns: 2_000 },
  );
});

test("fractions have 0, 3, 6 or 9 digits", () => {
  const rows: readonly [number, string][] = [
    [0, ""],
    [1, ".000000001"],
    [1_000, ".000001"],
    [120_000_000, ".120"],
    [999_999_999, ".999999999"],
  ];
  for (const [nanos, fraction] of rows) {
    assert.equal(formatTimestamp(0, nanos), `1970-01-01T00:00:00${fraction}Z`);
    assert.equal(formatDuration(0, nanos), `0${fraction}s`);
    assert.deepEqual(parseDuration(`0${fraction}s`), { seconds: 0, nanos });
  }
});

test("timestamps with offsets, any fraction and at the limits are read", () => {
  const rows: readonly [string, number, number][] = [
    ["0001-01-01T00:00:00Z", -62_135_596_800, 0],
    ["9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999],
    ["1970-01-01T00:00:00.1Z", 0, 100_000_000],
    ["1970-01-01T01:30:00+01:30", 0, 0],
    ["1969-12-31T16:00:00-08:00", 0, 0],
    ["2000-02-29T00:00:00Z", 951_782_400, 0],
  ];
  for (const [text, seconds, nanos] of rows) assert.deepEqual(parseTimestamp(text), { seconds, nanos }, text);
});

test("other texts are no timestamps", () => {
  const rows = [
    "",
    "2000-01-01",
    "2000-01-01T00:00:00",
    "2000-01-01t00:00:00Z",
    "2000-01-01T00:00:00z",
    "2000-01-01 00:00:00Z",
    "2000-13-01T00:00:00Z",
    "2000-00-01T00:00:00Z",
    "2000-01-32T00:00:00Z",
    "2000-04-31T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2001-02-29T00:00:00Z",
    "2000-01-01T24:00:00Z",
    "2000-01-01T00:60:00Z",
    "2000-01-01T00:00:60Z",
    "2000-01-01T00:00:00.Z",
    "2000-01-01T00:00:00.1234567890Z",
    "2000-01-01T00:00:00+1:00",
    "2000-01-01T00:00:00+24:00",
    "2000-01-01T00:00:00+01:60",
    "2000-01-01T00:00:00+0100",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    " 2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00Z ",
    "20000-01-01T00:00:00Z",
    "2000-1-01T00:00:00Z",
    "2000-01-01T00:00:00ZZ",
  ];
  for (const text of rows) assert.equal(parseTimestamp(text), undefined, text);
});

test("durations are read and printed with the sign in front", () => {
  const rows: readonly [string, number, number][] = [
    ["1.500s", 1, 500_000_000],
    ["-1.500s", -1, -500_000_000],
    ["-0.500s", 0, -500_000_000],
    ["315576000000s", 315_576_000_000, 0],
    ["-315576000000s", -315_576_000_000, 0],
  ];
  for (const [text, seconds, nanos] of rows) {
    assert.deepEqual(parseDuration(text), { seconds, nanos });
    assert.equal(formatDuration(seconds, nanos), text);
  }
  assert.deepEqual(parseDuration("1.5s"), { seconds: 1, nanos: 500_000_000 });
  for (const text of [
    "",
    "1",
    "s",
    "1m",
    "1.s",
    ".5s",
    "+1s",
    "1.0000000001s",
    "315576000001s",
    "1s ",
    "--1s",
    "1e3s",
  ]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});
