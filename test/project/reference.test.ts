import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { helpText } from "../../src/entries/flags.ts";
import { Program } from "../support/program.ts";
import { flagTable, metricTable, programs } from "./reference-tables.ts";

const root = join(import.meta.dirname, "../..");

/** The only table of a page. When the test fails, the table that is due stands in its report, to be copied. */
function tableOf(page: string): string {
  const lines = readFileSync(join(root, "docs", page), "utf8").split("\n");
  return lines.filter((line) => line.startsWith("|")).join("\n");
}

test("docs/flags.md lists the flags of the programs", () => {
  assert.equal(tableOf("flags.md"), flagTable());
});

test("docs/metrics.md lists the metrics", () => {
  assert.equal(tableOf("metrics.md"), metricTable());
});

test("docs/guarantees.md names tests that are there", () => {
  const rows = readFileSync(join(root, "docs/guarantees.md"), "utf8").split("\n");
  const claims = rows.filter((row) => /^\| [^|]+\|/.test(row) && !/^\| (?:what|---)/.test(row));
  assert.ok(claims.length > 20);
  for (const claim of claims) {
    const files = [...claim.matchAll(/`([\w/-]+(?:\.\w+)*\.test\.ts)`/g)].map(([, file = ""]) => file);
    assert.ok(files.length > 0, `no test: ${claim}`);
    for (const file of files) assert.ok(existsSync(join(root, "test", file)), `${file} of: ${claim}`);
  }
});

for (const [name, group] of Object.entries(programs)) {
  test(`${name} has the flags that the tables say`, async () => {
    await using program = new Program(`examples/${name}.ts`, "--help");
    await program.exit();
    assert.equal(`${program.lines.join("\n")}\n`, helpText(name, group));
  });
}
