import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUtf8 } from "../../../src/core/codec/json-to-message.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { HttpError } from "../../../src/gateway/http/http-error.ts";
import { JsonSplitter, type SplitterLimits } from "../../../src/gateway/http/json-splitter.ts";

const limits: SplitterLimits = { maxMessageBytes: 100, maxDepth: 5 };

/** All texts of a body that arrives in these chunks. */
function split(chunks: readonly Uint8Array[], options: SplitterLimits = limits): string[] {
  const splitter = new JsonSplitter(options);
  const texts = chunks.flatMap((chunk) => [...splitter.push(chunk)].map(decodeUtf8));
  const last = splitter.finish();
  return last === undefined ? texts : [...texts, decodeUtf8(last)];
}

/** The bytes of a body, or of a text whose characters are bytes. */
function bytesOf(body: string | Buffer): Buffer {
  return typeof body === "string" ? Buffer.from(body) : body;
}

/** A body cut at every place, and into single bytes. */
function cuts(body: Buffer): Buffer[][] {
  const twice = Array.from({ length: body.length + 1 }, (_, at) => [body.subarray(0, at), body.subarray(at)]);
  return [...twice, [...body].map((byte) => Buffer.from([byte]))];
}

const good: readonly [body: string, texts: readonly string[]][] = [
  ["", []],
  [" \r\n\t", []],
  ["\ufeff", []],
  ["\ufeff {}", ["{}"]],
  ["[]", []],
  [" [ ] ", []],
  ['[{"a":1}]', ['{"a":1}']],
  ['\ufeff[{"a":1},{"b":2}]', ['{"a":1}', '{"b":2}']],
  [' [ {"a":1} , {"b":[2]} ] \n', ['{"a":1}', '{"b":[2]}']],
  ["[1,true,null,-2.5e3]", ["1", "true", "null", "-2.5e3"]],
  ['["a","b\\"]","\\\\"]', ['"a"', '"b\\"]"', '"\\\\"']],
  ["[[1],[2,[3]]]", ["[1]", "[2,[3]]"]],
  ['{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']],
  ['{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']],
  ['{"a":1}\r\n\r\n{"b":2}', ['{"a":1}', '{"b":2}']],
  ['{"a":"}{"}  {"b":"\\"}"}', ['{"a":"}{"}', '{"b":"\\"}"}']],
  ['{"é":"😀"}{"b":"\\ud83d"}', ['{"é":"😀"}', '{"b":"\\ud83d"}']],
  ["1 2\n3", ["1", "2", "3"]],
  ['1"a"{}true', ["1", '"a"', "{}", "true"]],
  ["{}[1]", ["{}", "[1]"]],
  // What is inside of a value is the business of the reader of messages.
  ['{"a":tru}{]', ['{"a":tru}', "{]"]],
];

for (const [body, texts] of good) {
  test(`${JSON.stringify(body)} holds ${texts.length} texts wherever it is cut`, () => {
    for (const chunks of cuts(bytesOf(body))) assert.deepEqual(split(chunks), texts);
  });
}

const bad: readonly [body: string | Buffer, message: RegExp][] = [
  ["[", /ends inside of its array/],
  ["[1", /ends inside of its array/],
  ["[1,", /ends inside of its array/],
  ["[1,]", /has "\]" where a message is due/],
  ["[,1]", /has "," where a message is due/],
  ["[1 2]", /has "2" where a comma or the end of the array is due/],
  ["[][]", /after its array/],
  ["[{}]{}", /after its array/],
  ["[1]\n[2]", /after its array/],
  ["{", /ends inside of a message/],
  ['"a', /ends inside of a message/],
  ['{"a":"}', /ends inside of a message/],
  ["{},{}", /has "," where a message is due/],
  ["}", /has "}" where a message is due/],
  ["a=1", /has "a" where a message is due/],
  ["[[[[[[[1]]]]]]]", /nests deeper than 5/],
  ["{}\ufeff{}", /has the byte 0xef where a message is due/],
  [Buffer.from([0xef, 0xbb, 0x7b]), /has the byte 0xef where a message is due/],
  [Buffer.from([0x22, 0xff, 0x22]), /not valid UTF-8/],
  [Buffer.from([0x22, 0xc3, 0x22]), /not valid UTF-8/],
  [Buffer.from([0xff, 0xfe, 0x7b, 0x00]), /has the byte 0xff where a message is due/],
  [Buffer.from([0x00]), /has the byte 0x0 where a message is due/],
];

for (const [body, message] of bad) {
  test(`${JSON.stringify(body)} is INVALID_ARGUMENT wherever it is cut`, () => {
    for (const chunks of cuts(bytesOf(body))) {
      assert.throws(
        () => split(chunks),
        (error) =>
          error instanceof ConnectError && error.code === Code.InvalidArgument && message.test(error.message),
      );
    }
  });
}

test("H17: a message may have the limit's bytes and not one more, wherever it is cut", () => {
  const fits = Buffer.from(`"${"x".repeat(98)}"`);
  const large = Buffer.from(`"${"x".repeat(99)}"`);
  for (const chunks of cuts(fits)) assert.deepEqual(split(chunks), [fits.toString()]);
  for (const chunks of cuts(large)) {
    assert.throws(
      () => split(chunks),
      (error) => error instanceof HttpError && error.status === 413,
    );
  }
});

test("the limit is for each message, not for the body", () => {
  const one = `{"a":"${"x".repeat(80)}"}`;
  assert.equal(split([Buffer.from(one.repeat(1000))]).length, 1000);
});

test("texts are looked for one by one", () => {
  const splitter = new JsonSplitter(limits);
  const texts = splitter.push(Buffer.from("{}{}}"));
  assert.equal(String(texts.next().value), "{}");
  assert.equal(String(texts.next().value), "{}");
  assert.throws(() => texts.next(), /has "}"/);
});

test("any values come out as they went in, as an array, lines or nothing in between, wherever they are cut", () => {
  const joins = [
    (texts: string[]) => `[${texts.join(",")}]`,
    (texts: string[]) => `[ ${texts.join(" ,\n")} ]`,
    (texts: string[]) => texts.map((text) => `${text}\n`).join(""),
    (texts: string[]) => texts.join(""),
  ];
  const value = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 6 }),
      fc.constantFrom(...joins),
      fc.array(fc.nat(), { maxLength: 10 }),
      (values, join, places) => {
        const texts = values.map((one) => JSON.stringify(one));
        const body = Buffer.from(join(texts));
        const at = [...places.map((place) => place % (body.length + 1)), body.length].sort((a, b) => a - b);
        const chunks = at.map((end, index) => body.subarray(at[index - 1] ?? 0, end));
        assert.deepEqual(split(chunks, { maxMessageBytes: 1e6, maxDepth: 100 }), texts);
      },
    ),
    { numRuns: 300 },
  );
});
