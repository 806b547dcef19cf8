import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

/** What esbuild says of a file that it has made. */
interface Output {
  readonly bytes: number;
  readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[];
}

/** The tool, which has no types. */
interface Groups {
  readonly groupChunks: (outputs: Readonly<Record<string, Output>>) => readonly (readonly string[])[];
}

const tool = join(import.meta.dirname, "../../tools/chunk-groups.js");
const { groupChunks } = (await import(tool)) as Groups;

const kb = 1_000;

/** A library: files with their kilobytes and what they import; `~` means by `import()`, `node:` from outside. */
function library(files: Readonly<Record<string, readonly [number, ...string[]]>>): Record<string, Output> {
  const output = ([size, ...imports]: readonly [number, ...string[]]): Output => ({
    bytes: size * kb,
    imports: imports.map((name) => {
      if (name.startsWith("node:")) return { path: name, kind: "import-statement", external: true };
      const kind = name.startsWith("~") ? "dynamic-import" : "import-statement";
      return { path: pathOf(name.replace("~", "")), kind };
    }),
  });
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [pathOf(name), output(file)]));
}

function pathOf(name: string): string {
  if (name === "index") return "dist/src/index.js";
  return name.length === 1 ? `dist/src/chunks/${name}.js` : `dist/src/entries/${name}.js`;
}

const tables: readonly {
  readonly what: string;
  readonly files: Parameters<typeof library>[0];
  readonly groups: readonly string[];
}[] = [
  {
    what: "chunks of the same entries are one file, and those that are loaded later stay as they are",
    files: { index: [1, "a", "b"], a: [900, "~l"], b: [900], l: [900] },
    groups: ["ab"],
  },
  {
    what: "a small chunk of another entry joins, since one file less is worth more than its bytes",
    files: { index: [1, "a", "b"], redis: [1, "b"], a: [5], b: [5] },
    groups: ["ab"],
  },
  {
    what: "a large one does not, for the other entry would load it in vain",
    files: { index: [1, "a", "b"], redis: [1, "b"], a: [500], b: [5] },
    groups: [],
  },
  {
    what: "an entry that is to stay small loads nothing in vain",
    files: { index: [1, "a", "b"], errors: [1, "b"], a: [1], b: [1] },
    groups: [],
  },
  {
    what: "no entry gets a module of Node that it did not need",
    files: { index: [1, "a", "b"], redis: [1, "b"], a: [1, "node:http2"], b: [1] },
    groups: [],
  },
  {
    what: "nor one by way of what joins",
    files: {
      index: [1, "a", "b"],
      redis: [1, "b"],
      errors: [1, "c"],
      a: [1, "c"],
      b: [1],
      c: [1, "node:http2"],
    },
    groups: [],
  },
  {
    what: "no two files need each other",
    files: { index: [1, "a", "c", "~b"], a: [1, "b"], b: [1, "c"], c: [1] },
    groups: [],
  },
];

for (const { what, files, groups } of tables) {
  test(`files of the library: ${what}`, () => {
    const found = groupChunks(library(files)).map((paths) =>
      paths.map((path) => path.slice("dist/src/chunks/".length, -".js".length)).toSorted(),
    );
    assert.deepEqual(
      found.map((names) => names.join("")),
      groups,
    );
  });
}
