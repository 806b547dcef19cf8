import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "../../../src/core/errors/nearest-name.ts";

const names = ["pageSize", "pageToken", "filter", "id"];

for (const [name, expected] of [
  ["pagesize", "pageSize"],
  ["page_size", "pageSize"],
  ["pagSize", "pageSize"],
  ["tokenPage", undefined],
  ["fitler", "filter"],
  ["di", undefined],
  ["ids", "id"],
  ["", undefined],
  ["x".repeat(10_000), undefined],
] as const) {
  test(`nearest to ${JSON.stringify(name.slice(0, 20))} is ${expected}`, () => {
    assert.equal(nearestName(name, names), expected);
  });
}
