import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/security.md"), "utf8");

/** The rows of the table of risks: number, and what shows each. */
const rows = [...page.matchAll(/^\| API(\d+) [^|]+\|[^|]+\|(.+)\|$/gm)].map(([, number, shown = ""]) => ({
  number: Number(number),
  shown: shown.split("<br>").map((part) => {
    const [file = "", ...names] = [...part.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => text);
    return { file, names };
  }),
}));

test("D5 each of the ten risks has a row", () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
});

suite("D5 the tests that show how a risk is held are there:", () => {
  for (const { number, shown } of rows) {
    test(`API${number}`, () => {
      assert.ok(shown.length > 0);
      for (const { file, names } of shown) {
        assert.ok(file.endsWith(".test.ts") && existsSync(join(root, file)), `${file} is no test`);
        assert.ok(names.length > 0, `no test of ${file} is named`);
        const text = readFileSync(join(root, file), "utf8");
        for (const name of names) {
          assert.ok(text.includes(`(${JSON.stringify(name)}`), `${file} has no test ${name}`);
        }
      }
    });
  }
});
