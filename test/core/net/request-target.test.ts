import assert from "node:assert/strict";
import { test } from "node:test";
import { hasNulInPath, pathOf, queryOf } from "../../../src/core/net/request-target.ts";

test("a target is cut at its first question mark", () => {
  for (const [target, path, query] of [
    ["/a/b", "/a/b", ""],
    ["/a?", "/a", ""],
    ["/a?b=c", "/a", "b=c"],
    ["/a?b=?&c?d", "/a", "b=?&c?d"],
    ["/a%3Fb", "/a%3Fb", ""],
    ["?a", "", "a"],
    ["", "", ""],
  ] as const) {
    assert.equal(pathOf(target), path, target);
    assert.equal(queryOf(target), query, target);
    assert.equal(queryOf(target, path), query, target);
  }
});

test("U+0000 is found in the path alone", () => {
  for (const [target, expected] of [
    ["/a%00", true],
    ["/%00?b", true],
    ["/a?b=%00", false],
    ["/a?", false],
    ["/a%0", false],
  ] as const) {
    assert.equal(hasNulInPath(target), expected, target);
  }
});
