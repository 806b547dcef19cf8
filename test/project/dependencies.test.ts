import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readDependencyTable, type DependencyRow } from "./dependency-table.ts";

const root = join(import.meta.dirname, "../..");
const table = readDependencyTable(root);

type Versions = Record<string, string>;

// The cast names the fields read here; npm itself checks the file's shape.
const readJson = (file: string) =>
  JSON.parse(readFileSync(join(root, file), "utf8")) as Record<string, Versions>;
const versionsOf = (rows: readonly DependencyRow[]): Versions =>
  Object.fromEntries(rows.map((row) => [row.name, row.version]));

// Written in JavaScript that Node runs before anything is installed.
const { inside } = (await import(join(root, "tools/inside.js"))) as { inside: readonly string[] };

test("docs/dependencies.md lists exactly the dependencies of package.json", () => {
  const {
    dependencies,
    devDependencies,
    optionalDependencies = {},
    peerDependencies = {},
  } = readJson("package.json");
  assert.deepEqual(versionsOf(table.runtime), {
    ...dependencies,
    ...optionalDependencies,
    ...peerDependencies,
  });
  assert.deepEqual({ ...versionsOf(table.development), ...versionsOf(table.inside) }, devDependencies);
  assert.deepEqual(
    table.inside.map(({ name }) => name),
    inside,
  );
});

test("docs/dependencies.md has one row for each package", () => {
  for (const rows of [table.runtime, [...table.inside, ...table.development]]) {
    const names = rows.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)]);
  }
});

test("every row of docs/dependencies.md gives reasons and an owner that exists", () => {
  for (const { name, reasons, owner } of [...table.runtime, ...table.inside, ...table.development]) {
    assert.equal(reasons.length, 2, name);
    for (const reason of reasons) assert.notEqual(reason, "", name);
    if (typeof owner !== "string")
      for (const path of owner) assert.ok(existsSync(join(root, path)), `${name}: ${path}`);
  }
});

test("versions are pinned exactly, and the lockfile names no registry", () => {
  for (const file of ["package.json", "tools/node/package.json"]) {
    const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = readJson(file);
    for (const [name, version] of Object.entries({
      ...dependencies,
      ...devDependencies,
      ...optionalDependencies,
    })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
    }
  }
  for (const file of ["package-lock.json", "tools/node/package-lock.json"]) {
    assert.ok(!readFileSync(join(root, file), "utf8").includes('"resolved"'), file);
  }
});
