import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { compileFilter, type HeaderFilter } from "../../../src/hub/room/header-filter.ts";

const headers = { lang: "de", level: "7.5", kind: "alert", empty: "", big: "1e3" };

const cases: readonly (readonly [filter: HeaderFilter, matches: boolean])[] = [
  [{ header: "lang", is: "de" }, true],
  [{ header: "LANG", is: "de" }, true],
  [{ header: "lang", is: "en" }, false],
  [{ header: "none", is: "" }, false],
  [{ header: "lang", isNot: "en" }, true],
  [{ header: "none", isNot: "en" }, true],
  [{ header: "lang", isNot: "de" }, false],
  [{ header: "lang", oneOf: ["en", "de"] }, true],
  [{ header: "lang", oneOf: [] }, false],
  [{ header: "kind", prefix: "al" }, true],
  [{ header: "none", prefix: "" }, false],
  [{ header: "empty", present: true }, true],
  [{ header: "none", present: false }, true],
  [{ header: "toString", present: true }, false],
  [{ header: "level", above: 7 }, true],
  [{ header: "level", above: 7.5 }, false],
  [{ header: "level", below: 8 }, true],
  [{ header: "big", above: 1 }, false],
  [{ header: "lang", above: -1 }, false],
  [{ header: "lang", below: 1 }, false],
  [{ header: "none", below: 1 }, false],
  [{ all: [] }, true],
  [{ any: [] }, false],
  [
    {
      all: [
        { header: "lang", is: "de" },
        { header: "level", above: 9 },
      ],
    },
    false,
  ],
  [
    {
      any: [
        { header: "lang", is: "en" },
        { header: "level", above: 1 },
      ],
    },
    true,
  ],
  [{ not: { header: "lang", is: "de" } }, false],
  [{ not: { any: [{ not: { header: "lang", is: "de" } }] } }, true],
];

test("filters match by headers", () => {
  for (const [filter, matches] of cases) {
    assert.equal(compileFilter(filter)(headers), matches, JSON.stringify(filter));
  }
});

test("a filter that cannot be used is named by its part", () => {
  const test16 = Array.from({ length: 16 }, () => ({ header: "a", is: "b" }));
  const wrong: readonly (readonly [filter: unknown, message: RegExp])[] = [
    [undefined, /^filter: a test, or all, any or not/],
    [{}, /^filter: a header and one of is, isNot/],
    [{ header: "a" }, /^filter: a header and one of/],
    [{ header: "a", is: "b", prefix: "c" }, /^filter: a header and one of/],
    [{ header: "a", constructor: "b" }, /^filter: a header and one of/],
    [{ header: "a", is: 1 }, /^filter\.is: it is of another type/],
    [{ header: "a", above: Number.NaN }, /^filter\.above: it is of another type/],
    [{ header: "a", oneOf: "a" }, /^filter\.oneOf: it is of another type/],
    [{ all: [{ header: "a", is: "b" }, 7] }, /^filter\.all\[1\]: a test/],
    [{ all: {} }, /^filter\.all: a list/],
    [
      { not: { not: { not: { not: { header: "a", is: "b" } } } } },
      /^filter\.not\.not\.not\.not: .* at most 4 deep/,
    ],
    [{ any: [...test16, { header: "a", is: "b" }] }, /^filter\.any\[16\]: a filter has at most 16 tests/],
  ];
  for (const [filter, message] of wrong) {
    assert.throws(
      () => compileFilter(filter as HeaderFilter),
      (error) =>
        error instanceof ConnectError &&
        error.code === Code.InvalidArgument &&
        message.test(error.rawMessage),
      JSON.stringify(filter),
    );
  }
  assert.equal(compileFilter({ any: test16 })({ a: "b" }), true);
});

test("R16: a filter of 10,000 tests, and one that is very deep, are refused early", () => {
  const many = { any: Array.from({ length: 10_000 }, () => ({ header: "a", is: "b" })) };
  let deep: HeaderFilter = { header: "a", is: "b" };
  for (let i = 0; i < 10_000; i++) deep = { not: deep };
  for (const filter of [many, deep]) assert.throws(() => compileFilter(filter), /at most/);
});
