import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeCapture,
  hasDotSegment,
  normalizeLiteral,
  percentDecode,
} from "../../../src/core/http-rule/percent.ts";

test("percentDecode decodes once and refuses what is not UTF-8", () => {
  const cases = [
    ["", ""],
    ["a+b", "a+b"],
    ["%41%7e", "A~"],
    ["%2525", "%25"],
    ["caf%C3%A9", "café"],
    ["caf\u00c3\u00a9%21", "café!"],
    ["%F0%9F%98%80", "😀"],
    ["%00", "\0"],
    ["%", undefined],
    ["%4", undefined],
    ["%zz", undefined],
    ["%c0%af", undefined],
    ["%ff", undefined],
    ["%ed%a0%80", undefined],
    ["%f4%90%80%80", undefined],
    ["%C3", undefined],
    ["\u00ff", undefined],
    ["\u0100", undefined],
  ] as const;
  for (const [raw, expected] of cases) assert.equal(percentDecode(raw), expected, raw);
});

test("H21: percentDecode agrees with a strict decoder of bytes", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const raw = [...bytes].map((byte) =>
        byte % 3 === 0 && byte !== 0x25 ? String.fromCharCode(byte) : escape(byte),
      );
      let expected: string | undefined;
      try {
        expected = strict.decode(bytes);
      } catch {
        expected = undefined;
      }
      assert.equal(percentDecode(raw.join("")), expected);
    }),
  );
});

test("what encodeURIComponent writes comes back in every mode", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }).map((text) => text.toWellFormed()),
      fc.boolean(),
      (text, multiSegment) => {
        const raw = encodeURIComponent(text);
        assert.equal(decodeCapture(raw, multiSegment, "all"), text);
        assert.equal(decodeCapture(raw, false, "spec"), text);
        assert.equal(decodeCapture(raw, false, "reserved"), text);
      },
    ),
  );
});

test("several segments keep what the mode says, in the client's letter case", () => {
  const cases = [
    ["a%2fb%2Fc%20d", "a%2fb%2Fc d", "a%2fb%2Fc d"],
    ["%21%23%24%26%27%28%29%2a%2b%2c%2f%3a%3b%3d%3f%40%5b%5d", "!#$&'()*+,%2f:;=?@[]", undefined],
    ["%252F", "%2F", "%2F"],
    ["%zz%41", undefined, "%zzA"],
    ["%ff%20%41", undefined, "%ff%20%41"],
    ["%ff/%41", undefined, "%ff/A"],
  ] as const;
  for (const [raw, spec, reserved] of cases) {
    assert.equal(decodeCapture(raw, true, "spec"), spec, raw);
    assert.equal(decodeCapture(raw, true, "reserved"), reserved ?? raw, raw);
  }
});

test("hasDotSegment sees through every encoding of one level", () => {
  for (const raw of [
    ".",
    "..",
    "a/..",
    "./a",
    "%2e",
    "%2E.",
    "a%2f..",
    "..%5ca",
    "a\\..\\b",
    "a/%2e%2e%2fb",
  ]) {
    assert.equal(hasDotSegment(raw), true, raw);
  }
  for (const raw of ["", "a", "...", "a.", ".a", "a..b", "%252e%252e", "..%252fa", "%zz", "a/b.c/..d"]) {
    assert.equal(hasDotSegment(raw), false, raw);
  }
});

test("normalizeLiteral decodes unreserved characters only", () => {
  const cases = [
    ["abc", "abc"],
    ["%61%5a%30%2d%2E%5f%7e", "aZ0-._~"],
    ["%2f%3A%40", "%2F%3A%40"],
    ["%00%c3%a9", "%00%C3%A9"],
    ["\u00c3\u00a9", "%C3%A9"],
    ["%", undefined],
    ["%g1", undefined],
    ["a%1", undefined],
    ["\u0100", undefined],
  ] as const;
  for (const [raw, expected] of cases) assert.equal(normalizeLiteral(raw), expected, raw);
});

function escape(byte: number): string {
  return `%${byte.toString(16).padStart(2, "0")}`;
}
