import assert from "node:assert/strict";
import { test } from "node:test";
import { preferredWait } from "../../../../../src/gateway/doors/rest/long-poll/prefer.ts";

test("the wait of a Prefer header", () => {
  for (const [header, expected] of [
    [undefined, undefined],
    ["", undefined],
    ["wait=10", 10],
    ["Wait = 10", 10],
    ['wait="10"', 10],
    ["respond-async, wait=0", 0],
    ["wait=1, wait=2", 1],
    ["wait=5; foo=bar", 5],
    [["respond-async", "wait=7"], 7],
    ["wait", undefined],
    ["wait=-1", undefined],
    ["wait=1.5", undefined],
    ["await=3", undefined],
    ["wait=99999999", undefined],
  ] as const) {
    assert.equal(preferredWait(header as string | string[] | undefined), expected, String(header));
  }
});
