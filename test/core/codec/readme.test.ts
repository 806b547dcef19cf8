import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

const room = join(import.meta.dirname, "../../../src/core/codec");
const readme = readFileSync(join(room, "README.md"), "utf8");
const files = readdirSync(room).filter((name) => name.endsWith(".ts"));

function filesIn(text: string): string[] {
  return [...text.matchAll(/`([a-z0-9-]+\.ts)`/g)].map(([, name = ""]) => name);
}

/** The cells of the table whose first column has this head, row by row. */
function tableOf(head: string): string[][] {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  const rest = lines.slice(start);
  return rest.slice(0, rest.indexOf("")).map((line) => line.split("|").map((cell) => cell.trim()));
}

suite("README of the codec", () => {
  test("it names every file of the room, and no other", () => {
    assert.deepEqual(new Set(filesIn(readme)), new Set(files));
  });
  test("files stand in the column of their verb", () => {
    const [heads = [], , ...rows] = tableOf("subject");
    for (const verb of ["read", "write", "take", "put"]) {
      const column = heads.indexOf(verb);
      assert.ok(column > 0);
      const named = new Set(rows.flatMap((row) => filesIn(row[column] ?? "")));
      const due = files.filter((name) => name.startsWith(`${verb}-`));
      assert.deepEqual(
        new Set([...named].filter((name) => /^(?:read|write|take|put)-/.test(name))),
        new Set(due),
      );
    }
  });
  test("every direction has its front and its code", () => {
    for (const [, direction = "", front = "", code = ""] of tableOf("direction").slice(2)) {
      const name = direction.replace(" → ", "-to-");
      assert.deepEqual([filesIn(front)[0], filesIn(code)[0]], [`${name}.ts`, `${name}-code.ts`]);
    }
  });
});
