import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/security.md"), "utf8");

interface Shown {
  readonly file: string;
  readonly names: readonly string[];
}

/** The tests that a cell names. */
function shownBy(cell: string): Shown[] {
  return cell.split("<br>").map((part) => {
    const [file = "", ...names] = [...part.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => text);
    return { file, names };
  });
}

/** The rows of the table of risks: number, and what shows each. */
const rows = [...page.matchAll(/^\| API(\d+) [^|]+\|[^|]+\|(.+)\|$/gm)].map(([, number, shown = ""]) => ({
  number: Number(number),
  shown: shownBy(shown),
}));

/** The rows of the table of what comes in: from where, and what shows what of it is believed. */
const incoming = page
  .slice(0, page.indexOf("What is outside:"))
  .split("\n")
  .filter((line) => /^\| (?!from |---)/.test(line))
  .map((line) => line.split(" | "))
  .map(([from = "", , , shown = ""]) => ({ from: from.slice(2), shown: shownBy(shown) }));

function check(shown: readonly Shown[]): void {
  assert.ok(shown.length > 0);
  for (const { file, names } of shown) {
    assert.ok(file.endsWith(".test.ts") && existsSync(join(root, file)), `${file} is no test`);
    assert.ok(names.length > 0, `no test of ${file} is named`);
    const text = readFileSync(join(root, file), "utf8");
    for (const name of names) {
      assert.ok(text.includes(`(${JSON.stringify(name)}`), `${file} has no test ${name}`);
    }
  }
}

test("D5 each of the ten risks has a row", () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
});

suite("D5 the tests that show how a risk is held are there:", () => {
  for (const { number, shown } of rows) test(`API${number}`, () => check(shown));
});

suite("the tests that show what is believed are there:", () => {
  assert.ok(incoming.length > 10);
  for (const { from, shown } of incoming) test(from, () => check(shown));
});
