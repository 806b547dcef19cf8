import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseGoDuration } from "../../../src/gateway/binding/go-duration.ts";

suite("durations as Go writes them", () => {
  for (const [text, seconds, nanos] of [
    ["0", 0, 0],
    ["1h2m3s", 3723, 0],
    ["1.5s", 1, 500_000_000],
    ["1.5h", 5400, 0],
    ["-2ms", 0, -2_000_000],
    ["-1m0.5s", -60, -500_000_000],
    ["3us", 0, 3_000],
    ["3µs", 0, 3_000],
    ["3μs", 0, 3_000],
    ["7ns", 0, 7],
    [".5s", 0, 500_000_000],
    ["1.s", 1, 0],
    ["1.5ns", 0, 1],
    ["87660000h", 315_576_000_000, 0],
  ] as const) {
    test(text, () => {
      const parts = parseGoDuration(text);
      assert.equal(parts?.seconds, seconds);
      assert.equal(parts?.nanos, nanos);
      assert.ok(!Object.is(parts?.seconds, -0) && !Object.is(parts?.nanos, -0));
    });
  }
  for (const text of [
    "",
    "1",
    "s",
    ".s",
    "1x",
    "1 s",
    "+1s",
    "--1s",
    "1h-2m",
    "87660001h",
    "1d",
    "1s".repeat(1000),
  ]) {
    test(`${JSON.stringify(text.slice(0, 20))} is none`, () =>
      assert.equal(parseGoDuration(text), undefined));
  }
});
