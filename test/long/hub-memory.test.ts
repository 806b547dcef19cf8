import assert from "node:assert/strict";
import { test } from "node:test";
import { hubMemoryOf } from "../support/hub-memory.ts";

for (const [what, most, says] of [
  ["entry", 1_024, "a connection in the book of a hub costs at most 1 KiB"],
  ["membership", 300, "a further room of a call costs at most 300 bytes"],
  ["lagging", 200, "a member that is behind costs at most 200 bytes more"],
  ["room", 1_024, "a room in which nothing is said costs at most 1 KiB"],
  ["ring", 1.3, "a ring costs at most 1.3 times the bytes of the forms that its messages are written in"],
] as const) {
  test(says, async (t) => {
    const bytes = await hubMemoryOf(what);
    t.diagnostic(String(bytes));
    assert.ok(bytes <= most, String(bytes));
  });
}
