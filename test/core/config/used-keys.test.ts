/** No key is only accepted: what no code reads would be a promise that nobody keeps. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type KeySection, keyTree } from "../../../src/core/config/loader/key-tree.ts";

const root = join(import.meta.dirname, "../../..");

/** The sources that can read values of a configuration. */
const sources = [
  ...globSync("src/app/**/*.ts", { cwd: root }),
  "src/core/config/loader/checks.ts",
  ...globSync("src/core/security/access/*.ts", { cwd: root }),
]
  .map((file) => readFileSync(join(root, file), "utf8"))
  .join("\n");

/** Names of members that the sources use. */
const used = new Set([...sources.matchAll(/[\w$]+/g)].map(([name]) => name));

/** Sections of what is not there yet; their keys are checked and have no effect. */
const later =
  /^(?:graphql|quic|clients|discovery|register|policies|upstreams|traffic|audit|envelope|gateway|admin)(?:\.|$)|^pages\.|^app\.zone$/;

test("every key of the configuration is read by the code of a section", () => {
  const unread = leaves(keyTree(), "").filter(
    ({ path, name, isWithoutEffect }) => !used.has(name) && !isWithoutEffect && !later.test(path),
  );
  assert.deepEqual(
    unread.map(({ path }) => path),
    [],
  );
});

interface Leaf {
  readonly path: string;
  /** As in code. */
  readonly name: string;
  /** Whether `--print-config` says that it has none. */
  readonly isWithoutEffect: boolean;
}

function leaves({ fields }: KeySection, above: string): Leaf[] {
  return fields.flatMap(({ name, localName, section, option }) => {
    const path = `${above}${name}`;
    if (section !== undefined) return leaves(section, `${path}.`);
    return [{ path, name: localName, isWithoutEffect: (option?.withoutEffect ?? "") !== "" }];
  });
}
