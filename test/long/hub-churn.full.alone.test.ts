import assert from "node:assert/strict";
import { test } from "node:test";
import { hubMemoryOf } from "../support/hub-memory.ts";

test("a million calls that join rooms and leave them leave nothing behind", async (t) => {
  const bytes = await hubMemoryOf("churn");
  t.diagnostic(`${bytes} bytes`);
  assert.ok(bytes <= 512 * 1024, `${bytes} bytes more`);
});
