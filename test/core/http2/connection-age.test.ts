import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionAgeMs } from "../../../src/core/http2/connection-age.ts";

for (const [what, upMs, least] of [
  ["of an old process live 90 to 110 % of the age", 1_000, 900],
  ["of a process that has just started live 50 to 110 % of it", 999, 500],
] as const) {
  test(`connections ${what}`, () => {
    assert.equal(Math.round(connectionAgeMs(1_000, upMs, 0)), least);
    assert.equal(Math.round(connectionAgeMs(1_000, upMs, 0.5)), (least + 1_100) / 2);
    assert.equal(Math.round(connectionAgeMs(1_000, upMs, 1)), 1_100);
  });
}
