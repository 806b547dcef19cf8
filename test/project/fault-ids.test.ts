import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const folder = join(import.meta.dirname, "..");

/** Ids at the beginning of names in this source, as in `"P08, P16: odd paths"`. */
function idsOf(source: string): string[] {
  const lists = source.matchAll(/["'`]([A-Z]\d\d(?:, [A-Z]\d\d)*)[: ]/g);
  return [...lists].flatMap(([, ids = ""]) => ids.split(", "));
}

test("test/README.md has a row for each id in the names of tests, and no other", () => {
  const files = globSync("**/*.test.ts", { cwd: folder });
  const used = new Set(files.flatMap((file) => idsOf(readFileSync(join(folder, file), "utf8"))));
  const rows = readFileSync(join(folder, "README.md"), "utf8").matchAll(/^\| ([A-Z]\d\d) \|/gm);
  const explained = [...rows].map(([, id = ""]) => id);
  assert.ok(used.size > 100);
  assert.deepEqual(explained.toSorted(), [...used].toSorted());
});
