// oxlint-disable no-template-curly-in-string -- References are written like placeholders.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keyTree, type KeySection } from "../../../src/core/config/loader/key-tree.ts";
import { parsePath } from "../../../src/core/config/loader/setting.ts";
import { pathText } from "../../../src/core/config/loader/bound.ts";
import { ConfigError, loadConfig } from "../../../src/index.ts";
import { ConfigFiles } from "./config-files.ts";

/** Names of keys, and some that are none. */
const names = [...namesOf(keyTree()), "communication", "providers", "__proto__", "constructor", "", "x y"];

function namesOf(section: KeySection): Set<string> {
  const found = new Set<string>();
  for (const { name, section: below } of section.fields) {
    found.add(name);
    if (below !== undefined) for (const inner of namesOf(below)) found.add(inner);
  }
  return found;
}

const scalar = fc.oneof(
  fc.constantFrom(null, true, false, 0, 1, -1, 1.5, 8080, 1e300, "30s", "1MiB", "auto", "off", "", "redis"),
  fc.string({ unit: "binary" }),
  fc.constantFrom("${HOME}", "${NONE}", "${", "$${x}", "${file:/none}", "${A:-b}"),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    scalar,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names), tie("tree"), { maxKeys: 6, noNullPrototype: true }),
  ),
}));
const root = fc.dictionary(fc.constantFrom(...names), tree, { maxKeys: 5, noNullPrototype: true });

/** Whatever is given: a configuration, or its mistakes. @returns whether it was loaded */
async function loadsOrTells(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<boolean> {
  try {
    const loaded = await loadConfig({ argv, env });
    loaded.print();
    loaded.print("json");
    return true;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.problems.length > 0);
    return false;
  }
}

test("any file is a configuration or has mistakes", async () => {
  using files = new ConfigFiles();
  await fc.assert(
    fc.asyncProperty(root, async (value) => {
      await loadsOrTells(["--config", files.write("config.json", JSON.stringify(value))]);
    }),
    { numRuns: 100 },
  );
});

test("any text is a configuration or has mistakes", async () => {
  using files = new ConfigFiles();
  const line = fc.tuple(
    fc.nat(6),
    fc.constantFrom(...names, "- ", "&a ", "*a", "? ", "!!str ", "<<", "# ", "---", "%YAML", "|", ">-"),
    fc.constantFrom("", ":", ": ", ": {", ": [", ": |", ": &a", ": *a", "}", "]", "\t", '"'),
    fc.constantFrom("", "1", "30s", "a", "'", "${X}", "{}", "[]"),
  );
  const text = fc
    .array(line, { maxLength: 12 })
    .map((lines) =>
      lines.map(([indent, name, colon, value]) => `${" ".repeat(indent)}${name}${colon}${value}`).join("\n"),
    );
  await fc.assert(
    fc.asyncProperty(text, async (yaml) => {
      await loadsOrTells(["--config", files.write("config.yaml", yaml)]);
    }),
    { numRuns: 100 },
  );
});

test("any setting and any variable is a value or a mistake", async () => {
  const setting = fc.tuple(
    fc.array(fc.oneof(fc.constantFrom(...names), fc.string()), { minLength: 1, maxLength: 4 }),
    fc.oneof(fc.string(), fc.json()),
  );
  await fc.assert(
    fc.asyncProperty(setting, fc.string(), async ([path, value], text) => {
      await loadsOrTells([
        "--set",
        `${path.join(".")}=${value}`,
        "--set",
        `${pathText(path)}=${value}`,
        "--set",
        text,
      ]);
      const name = path.join("_").toUpperCase();
      if (!name.includes("\0")) await loadsOrTells([], { [`TS_MS_${name}`]: value, [name]: text });
    }),
    { numRuns: 100 },
  );
});

test("the text of a path is read as the same path", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1, unit: "binary" }), { minLength: 1 }), (path) => {
      assert.deepEqual(parsePath(pathText(path)), path);
    }),
  );
});
