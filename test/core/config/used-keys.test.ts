/** No key is only accepted: one that no code reads would be a promise that is not kept. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type KeySection, keyTree } from "../../../src/core/config/loader/key-tree.ts";

const root = join(import.meta.dirname, "../../..");

/** Sections of what is not there yet; their keys are checked and have no effect. */
const later: readonly string[] = [];

/** The names in the code of each file that can read values of a configuration; comments and texts are none. */
const files = [
  ...globSync("src/app/**/*.ts", { cwd: root }),
  ...globSync("src/core/security/access/*.ts", { cwd: root }),
].map((file) => {
  const code = readFileSync(join(root, file), "utf8").replaceAll(
    /\/\*[^]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
    "",
  );
  return new Set([...code.matchAll(/[\w$]+/g)].map(([name]) => name));
});

interface Key {
  readonly path: string;
  /** As in code. */
  readonly name: string;
  /** What code calls the section that has it: its field, or its type. */
  readonly owners: readonly string[];
  /** Whether `--print-config` says that it has none. */
  readonly isWithoutEffect: boolean;
}

/** The keys that have values of their own. */
function keysOf({ fields, message }: KeySection, above: string, owner: string): readonly Key[] {
  return fields.flatMap(({ name, localName, section, option }) => {
    const path = `${above}${name}`;
    if (section !== undefined) return keysOf(section, `${path}.`, localName);
    const isWithoutEffect = (option?.withoutEffect ?? "") !== "";
    return [{ path, name: localName, owners: [owner, message], isWithoutEffect }];
  });
}

/** Whether a file that knows the section names the key. */
function isRead({ name, owners }: Key): boolean {
  return files.some((names) => names.has(name) && owners.some((owner) => names.has(owner)));
}

const keys = keysOf(keyTree(), "", "config");
const isLater = ({ path }: Key): boolean => later.includes(path.split(".")[0] ?? "");

test("every key of the configuration is read by the code of a section", () => {
  const unread = keys.filter((key) => !isLater(key) && !key.isWithoutEffect && !isRead(key));
  assert.deepEqual(
    unread.map(({ path }) => path),
    [],
  );
});

test("every section that is said to come later has keys that no code reads", () => {
  const unread = keys.filter((key) => isLater(key) && !isRead(key)).map(({ path }) => path.split(".")[0]);
  assert.deepEqual([...new Set(unread)], later);
});
