import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBase64, isBase64, isBase64Header, parseBase64 } from "../../../src/core/codec/base64-text.ts";

/** A text, whether it is base64 in the standard alphabet, and in either of the two. */
const texts: readonly (readonly [text: string, standard: boolean, either: boolean])[] = [
  ["", true, true],
  ["YQ==", true, true],
  ["YQ=", true, true],
  ["YQ", true, true],
  ["YWI=", true, true],
  ["YWJj", true, true],
  ["YWJj=", true, true],
  ["+/+/", true, true],
  ["-_-_", false, true],
  ["-_+/", false, true],
  ["Y", false, false],
  ["Y=", false, false],
  ["YWJjY", false, false],
  ["YQ===", false, false],
  ["YQ==YQ==", false, false],
  ["YW Jj", false, false],
  ["YQ==\n", false, false],
  ["YWJ!", false, false],
  ["YWJ\u{e9}", false, false],
  ["YWJ\u{161}", false, false],
];

test("base64 is recognized in one alphabet or two, with any padding", () => {
  for (const [text, standard, either] of texts) {
    assert.equal(isBase64(text), standard, text);
    assert.equal(isBase64(text, "either"), either, text);
  }
});

test("binary headers are one value or several", () => {
  for (const [header, expected] of [
    ["YQ==", true],
    ["YQ, YWI ,YWJj", true],
    [["YQ", "YWI="], true],
    ["", true],
    ["YQ,Y", false],
    [["YQ", "Y"], false],
    ["-_-_", false],
  ] as const) {
    assert.equal(isBase64Header(header), expected, String(header));
  }
  assert.equal(isBase64Header("-_-_, YQ", "either"), true);
});

test("what is decoded is what is recognized, but for padding that is wrong", () => {
  for (const [text, , either] of texts) {
    const bytes = parseBase64(text);
    const rightlyPadded = !text.includes("=") || text.length % 4 === 0;
    assert.equal(bytes !== undefined, either && rightlyPadded, text);
    if (bytes !== undefined) {
      assert.deepEqual(Buffer.from(bytes), Buffer.from(text, "base64"), text);
      assert.equal(formatBase64(bytes), Buffer.from(text, "base64").toString("base64"), text);
    }
  }
});
