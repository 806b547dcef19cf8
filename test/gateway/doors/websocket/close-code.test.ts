import assert from "node:assert/strict";
import { test } from "node:test";
import { closeReason } from "../../../../src/gateway/doors/websocket/close-code.ts";

for (const [text, bytes] of [
  ["", 0],
  ["short", 5],
  ["x".repeat(123), 123],
  ["x".repeat(124), 123],
  ["ü".repeat(62), 122],
  ["😀".repeat(31), 120],
  ["€".repeat(42), 123],
] as const) {
  test(`a reason of ${Buffer.byteLength(text)} bytes leaves with ${bytes}`, () => {
    const reason = closeReason(text);
    assert.equal(Buffer.byteLength(reason), bytes);
    assert.ok(text.startsWith(reason));
  });
}
