import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { exportedNames, modulesOf, publicSources } from "./public-surface.ts";

const root = join(import.meta.dirname, "../..");
const sources = publicSources(root);

/** The names that the package, or a sub-path of it, exports. */
function namesOf(specifier: string): ReturnType<typeof exportedNames> {
  return exportedNames(readFileSync(join(root, sources.get(specifier) ?? specifier), "utf8"));
}

test("the root exports at most 70 names", () => {
  const names = namesOf("ts-ms").map(({ name }) => name);
  assert.ok(names.length > 0);
  assert.ok(names.length <= 70, `${names.length}: ${names.join(" ")}`);
});

test("every file of src/entries is a sub-path of the package by its own name", () => {
  const files = readdirSync(join(root, "src/entries")).map((file) => file.replace(/\.ts$/, ""));
  const expected = files.map((name) => [
    `./${name.replace(/^hub-(?!client$)/, "hub/")}`, // The buses of the hub stand below it.
    { types: `./dist/src/entries/${name}.d.ts`, default: `./dist/src/entries/${name}.js` },
  ]);
  const own = ["src/index.d.ts", "src/index.js"].map((file) => `./dist/${file}`);
  assert.deepEqual(Object.fromEntries(modulesOf(root)), {
    ".": { types: own[0], default: own[1] },
    ...Object.fromEntries(expected),
  });
  assert.ok(files.includes("flags"));
});

test("every name is exported in one place", () => {
  const places = new Map<string, string[]>();
  for (const specifier of sources.keys()) {
    for (const { name } of namesOf(specifier)) places.set(name, [...(places.get(name) ?? []), specifier]);
  }
  assert.deepEqual(
    [...places].filter(([, specifiers]) => specifiers.length > 1),
    [],
  );
});

test("flags are in ts-ms/flags alone", () => {
  for (const specifier of sources.keys()) {
    const flags = namesOf(specifier).filter(({ name }) => /flag/i.test(name));
    assert.equal(flags.length > 0, specifier === "ts-ms/flags", specifier);
  }
});

suite("the names that are read are those that the modules have", () => {
  for (const [specifier, source] of sources) {
    test(specifier, async () => {
      const module = (await import(join(root, source))) as object;
      const values = namesOf(specifier).filter(({ isType }) => !isType);
      assert.deepEqual(values.map(({ name }) => name).toSorted(), Object.keys(module).toSorted());
    });
  }
});

test("all forms of exports are read, and nothing else may stand in such a file", () => {
  const text = [
    "/** export { no } from nowhere. */",
    "// A section.",
    'export { a, type B } from "./a.ts";',
    'export type { C, D as E } from "./c.ts";',
    'export {\n  f,\n  type G,\n} from "./f.ts";',
  ].join("\n");
  assert.deepEqual(
    exportedNames(text).map(({ name, isType }) => (isType ? `type ${name}` : name)),
    ["a", "type B", "type C", "type E", "f", "type G"],
  );
  for (const line of ['export * from "./a.ts";', "export const a = 1;", 'import "./a.ts";']) {
    assert.throws(() => exportedNames(`${text}\n${line}`), /no export of names from another file/);
  }
});
