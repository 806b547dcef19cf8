import assert from "node:assert/strict";
import { test } from "node:test";
import { NumberRing } from "../../../src/core/http2/number-ring.ts";
import { PingStrikes } from "../../../src/core/http2/ping-strikes.ts";

test("a ring keeps the last numbers", () => {
  const ring = new NumberRing(3);
  for (const number of [1, 3, 5, 3, 7]) ring.add(number);
  assert.deepEqual(
    [1, 3, 5, 7, 9].map((number) => ring.has(number)),
    [false, true, true, true, false],
  );
});

test("the third early ping in a row is one too many", () => {
  const strikes = new PingStrikes(60_000);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => strikes.isOut()),
    [false, false, false, true],
  );
});

test("sending forgets early pings", () => {
  const strikes = new PingStrikes(60_000);
  for (let round = 0; round < 5; round++) {
    for (let ping = 0; ping < 3; ping++) assert.equal(strikes.isOut(), false);
    strikes.forget();
  }
});
