import assert from "node:assert/strict";
import { test } from "node:test";
import { cookieOf } from "../../../src/gateway/session/cookie-of.ts";

const rows: readonly [header: string, value: string | undefined][] = [
  ["s=1", "1"],
  ["a=b; s=1; c=d", "1"],
  ["a=b;s=1 ;c=d", "1"],
  ["a=b,\ts=1,c=d", "1"],
  ["s=; s=2", ""],
  ["s=1; s=2", "1"],
  ["xs=0; s=1", "1"],
  ["a=s=0; s=1", "1"],
  ["a=b s=0; s=1", "1"],
  ["S=1", undefined],
  ["s", undefined],
  ["", undefined],
  ["xs=1", undefined],
  ["s=a=b", "a=b"],
];

for (const [header, value] of rows) {
  test(`the cookie s of ${JSON.stringify(header)}`, () => assert.equal(cookieOf(header, "s="), value));
}
