import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** The numbers of our options, which never change. Those of pages to come are kept free. */
const numbers: Readonly<Record<string, readonly number[]>> = {
  "event ids of streams": [61_101],
  policies: [61_102, 61_103],
  "keys of the configuration": [61_110],
  "access, of services too, criticality and cost": [61_120, 61_121, 61_122, 61_123],
  messaging: [61_130],
  faces: [61_140, 61_141, 61_142],
  topics: [61_150, 61_151, 61_152],
};

test("each option of ours has a number of its own, of the list", () => {
  const found = globSync("proto/ts_ms/**/*.proto", { cwd: root }).flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const blocks = [...text.matchAll(/^extend [\w.]+ \{\n([^}]*)^\}/gm)].map(([, body = ""]) => body);
    return blocks.flatMap((body) =>
      [...body.matchAll(/ (\w+) = (\d+);/g)].map(([, , number]) => Number(number)),
    );
  });
  assert.ok(found.length >= 4);
  assert.equal(new Set(found).size, found.length, `given twice: ${found.join(", ")}`);
  const known = Object.values(numbers).flat();
  for (const number of found) assert.ok(known.includes(number), `${number} is not in the list`);
});
