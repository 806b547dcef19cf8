import assert from "node:assert/strict";
import { test } from "node:test";
import { weightedList } from "../../../src/gateway/http/weighted-list.ts";

test("lists are read with their weights", () => {
  for (const [header, expected] of [
    ["", []],
    [" , ,", []],
    ["gzip", [["gzip", 1]]],
    [
      "GZip , br",
      [
        ["gzip", 1],
        ["br", 1],
      ],
    ],
    [
      "a/b;q=0.5,c/*",
      [
        ["a/b", 0.5],
        ["c/*", 1],
      ],
    ],
    ["a ; Q = 0.25 ", [["a", 0.25]]],
    ["a;\tq=0.001", [["a", 0.001]]],
    ["a;q=0", [["a", 0]]],
    ["a;q=0.000", [["a", 0]]],
    ["a;q=1.", [["a", 1]]],
    ["a;q=.5", [["a", 0.5]]],
    ["a;q=0.123456", [["a", 0.123456]]],
    ["a;level=1;q=0.5;q=0.9", [["a", 0.5]]],
    ["a;quality=0.5", [["a", 1]]],
    [
      "a;q=2, b;q=1.5",
      [
        ["a", 1],
        ["b", 1],
      ],
    ],
    ["a;q, b;q=, c;q=x, d;q=-1, e;q=1e-1, f;q=0x1", ["a", "b", "c", "d", "e", "f"].map((name) => [name, 0])],
    [
      "a, a;q=0.1",
      [
        ["a", 1],
        ["a", 0.1],
      ],
    ],
  ] as const) {
    const found = weightedList(header).map(({ name, quality }) => [name, quality]);
    assert.deepEqual(found, expected, header);
  }
});
