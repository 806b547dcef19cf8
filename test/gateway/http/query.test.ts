import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { parseQuery, queryDefaults } from "../../../src/gateway/http/query.ts";
import { refusalOf, refusedFields } from "../binding/binding-fixture.ts";
import { codePoint } from "../../arbitraries/code-point.ts";
import { threadMs } from "../../support/thread-time.ts";

function pairs(query: string): string[][] {
  return parseQuery(query).map(({ name, value }) => [name, value]);
}

const cases: readonly [query: string, expected: string[][]][] = [
  ["", []],
  ["a=1", [["a", "1"]]],
  [
    "a=1&b=2&a=3",
    [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ],
  ],
  ["a", [["a", ""]]],
  ["a=", [["a", ""]]],
  ["=b", [["", "b"]]],
  ["&&a=1&&", [["a", "1"]]],
  ["a=b=c", [["a", "b=c"]]],
  ["a=1;b=2", [["a", "1;b=2"]]],
  ["a=1+2", [["a", "1 2"]]],
  ["a+b=%2B", [["a b", "+"]]],
  ["%61%3D=%26", [["a=", "&"]]],
  ["n=caf%C3%A9", [["n", "café"]]],
  ["n=%2525", [["n", "%25"]]],
  ["m%5Bk%5D=v", [["m[k]", "v"]]],
  [
    "__proto__=x&constructor.prototype=y",
    [
      ["__proto__", "x"],
      ["constructor.prototype", "y"],
    ],
  ],
];

suite("query strings (transcoding B7)", () => {
  for (const [query, expected] of cases) {
    test(JSON.stringify(query), () => assert.deepEqual(pairs(query), expected));
  }
  for (const query of ["a=%", "a=%z1", "a=%ff", "a=%c0%af", "a=%ed%a0%80", "%=a", "%ff=a", "ok=1&a=%4"]) {
    test(`T18: ${query} is malformed`, () => assert.equal(refusedFields(() => parseQuery(query)).length, 1));
  }
  test("the name is in the violation of a malformed value", () => {
    assert.deepEqual(
      refusedFields(() => parseQuery("b.c=%zz")),
      ["b.c"],
    );
  });
  test("bytes that were sent unescaped count as UTF-8", () => {
    assert.deepEqual(pairs(Buffer.from("n=é").toString("latin1")), [["n", "é"]]);
  });
  test("+ can mean itself", () => {
    const [parameter] = parseQuery("a=1+2", { ...queryDefaults, plusAsSpace: false });
    assert.equal(parameter?.value, "1+2");
  });
  test("T19: 1000 parameters are taken, more are refused fast", () => {
    assert.equal(parseQuery("a=1&".repeat(1000)).length, 1000);
    const started = threadMs();
    assert.match(refusalOf(() => parseQuery("a=1&".repeat(10_000))).rawMessage, /1000 parameters/);
    assert.ok(threadMs() - started < 1000);
  });
  test("any names and values come back", () => {
    const text = fc.string({ unit: codePoint });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (parameters) => {
        const query = parameters.map(
          ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
        );
        assert.deepEqual(pairs(query.join("&")), parameters);
      }),
    );
  });
});
