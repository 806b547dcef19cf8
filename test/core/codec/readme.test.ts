import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const room = join(import.meta.dirname, "../../../src/core/codec");

test("the README of the codec names every file of the room, and no other", () => {
  const named = readFileSync(join(room, "README.md"), "utf8").matchAll(/`([a-z0-9-]+\.ts)`/g);
  const files = readdirSync(room).filter((name) => name.endsWith(".ts"));
  assert.deepEqual(new Set([...named].map(([, name]) => name)), new Set(files));
});
