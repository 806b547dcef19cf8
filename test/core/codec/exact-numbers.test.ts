import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDouble, formatFloat32, parseExactInteger } from "../../../src/core/codec/exact-numbers.ts";

test("every float is printed as a decimal that reads back and has no shorter one", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = formatFloat32(value);
      assert.ok(Object.is(Math.fround(Number(text)), value), text);
      assert.doesNotThrow(() => JSON.parse(text));
      const digits = text
        .replace(/e.*$/, "")
        .replace(/\D/g, "")
        .replace(/^0+|0+$/g, "").length;
      if (digits <= 1 || value === 0) return;
      const shorter = Number(value.toPrecision(digits - 1));
      assert.notEqual(Math.fround(shorter), value, `${text} could be ${shorter}`);
    }),
    { numRuns: 5_000 },
  );
});

test("decimals of few digits are printed as they were written", () => {
  fc.assert(
    fc.property(fc.integer({ min: -999_999, max: 999_999 }), fc.nat(6), (digits, scale) => {
      const decimal = Number(`${digits}e-${scale}`);
      assert.equal(formatFloat32(Math.fround(decimal)), formatDouble(decimal));
    }),
    { numRuns: 2_000 },
  );
});

test("integers are exact in every spelling", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), fc.nat(30), (value, shift) => {
      assert.equal(parseExactInteger(`${value}`), value);
      if (value !== 0n) assert.equal(parseExactInteger(`${value}${"0".repeat(shift)}e-${shift}`), value);
      assert.equal(parseExactInteger(`${value}.${"0".repeat(shift + 1)}`), value);
    }),
  );
  for (const text of [
    "",
    "-",
    "1.5",
    "1e-1",
    "+1",
    "01",
    "0x1",
    " 1",
    "1 ",
    "1_0",
    "NaN",
    "1e",
    "1.",
    ".1",
  ]) {
    assert.equal(parseExactInteger(text), undefined, text);
  }
  assert.ok((parseExactInteger("1e400000000") ?? 0n) >= 10n ** 20n);
});
