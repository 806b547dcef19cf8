import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { test } from "node:test";
import { readDependencyTable } from "./dependency-table.ts";
import { importViolations, importsOf, type Owner } from "./import-rules.ts";

const root = join(import.meta.dirname, "../..");

function readSources(...folders: string[]): Map<string, string> {
  const paths = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return new Map(
    paths.map((path) => [relative(root, path).split(sep).join("/"), readFileSync(path, "utf8")]),
  );
}

const owners = new Map(readDependencyTable(root).runtime.map((row) => [row.name, row.owner]));

test("imports point one way", () => {
  const files = readSources("src", "gen", "examples");
  assert.ok(files.size > 0);
  assert.deepEqual(importViolations({ files, owners }), []);
});

test("import lines of every form are read", () => {
  const text = [
    'import a from "./a.ts";',
    'import * as b from "./b.ts";',
    'import {\n  c,\n  type D as E,\n} from "./c.ts";',
    'import type { F } from "./f.ts";',
    'import g, { h } from "./g.ts";',
    'import "./side-effect.ts";',
    'export { i } from "./i.ts";',
    'export type { J } from "./j.ts";',
    'export * from "./k.ts";',
    'const l = await import("./l.ts");',
    'type M = import("./m.ts").M;',
    ' * import { no } from "./no.ts";',
    'export const text = "from"; const no = "./no.ts";',
  ].join("\n");
  const expected = ["a", "b", "c", "f", "g", "side-effect", "i", "j", "k", "l", "m"].map(
    (name) => `src/${name}.ts`,
  );
  assert.deepEqual(
    importsOf("src/x.ts", text).map((line) => line.to),
    expected,
  );
  assert.equal(importsOf("src/core/x.ts", 'import "../gen/a/b_pb.ts";')[0]?.to, "src/gen/a/b_pb.ts");
  assert.equal(importsOf("src/x.ts", 'import "@bufbuild/protobuf/wkt";')[0]?.to, "@bufbuild/protobuf");
  assert.equal(importsOf("src/x.ts", 'import "fastify/types.js";')[0]?.to, "fastify");
});

/** A planted breach: what each file imports, and a part of the sentence that must come of it; none for allowed ones. */
const cases: { name: string; files: Record<string, string[]>; expected?: string }[] = [
  {
    name: "rooms may import core and gen",
    files: {
      "src/index.ts": ["./gateway/a.ts", "./services/b.ts", "./cli/e.ts"],
      "src/gateway/a.ts": ["../core/c.ts", "../core/dial.ts", "fastify", "node:http"],
      "src/services/b.ts": ["../core/c.ts", "../../gen/d_pb.ts"],
      "src/core/c.ts": ["../../gen/d_pb.ts", "@bufbuild/protobuf"],
      "src/core/dial.ts": ["./c.ts", "./grpc/f.ts"],
      "src/core/grpc/f.ts": ["../c.ts", "../codec/g.ts", "@grpc/grpc-js"],
      "src/core/codec/g.ts": [],
      "src/cli/e.ts": ["../gateway/a.ts", "../services/b.ts"],
      "gen/d_pb.ts": ["./e_pb.ts"],
      "gen/e_pb.ts": [],
      "examples/x.ts": ["../src/index.ts", "../gen/d_pb.ts", "./y.ts"],
      "examples/y.ts": [],
    },
  },
  {
    name: "gateway may not import services",
    files: { "src/gateway/a.ts": ["../services/b.ts"], "src/services/b.ts": [] },
    expected: "gateway and services meet in core",
  },
  {
    name: "services may not import messaging",
    files: { "src/services/a.ts": ["../messaging/b.ts"], "src/messaging/b.ts": [] },
    expected: "services and messaging meet in core",
  },
  {
    name: "core may not import a room",
    files: { "src/core/dial.ts": ["../gateway/b.ts"], "src/gateway/b.ts": [] },
    expected: "core knows no other room",
  },
  {
    name: "vocabulary may not import a sub-folder",
    files: { "src/core/a.ts": ["./grpc/b.ts"], "src/core/grpc/b.ts": [] },
    expected: "vocabulary imports no sub-folder",
  },
  {
    name: "vocabulary may not import an assembler",
    files: { "src/core/a.ts": ["./grpc-server.ts"], "src/core/grpc-server.ts": [] },
    expected: "import an assembler",
  },
  {
    name: "a sub-folder may not import an assembler",
    files: { "src/core/grpc/a.ts": ["../dial.ts"], "src/core/dial.ts": [] },
    expected: "import an assembler",
  },
  {
    name: "src may not import its own index",
    files: { "src/gateway/a.ts": ["../index.ts"], "src/index.ts": [] },
    expected: "nothing in src imports it",
  },
  {
    name: "nothing may build on cli",
    files: { "src/gateway/a.ts": ["../cli/b.ts"], "src/cli/b.ts": [] },
    expected: "nothing builds on the command line",
  },
  {
    name: "src may not import examples",
    files: { "src/core/a.ts": ["../../examples/b.ts"], "examples/b.ts": [] },
    expected: "src imports only src and gen",
  },
  {
    name: "index may not import examples",
    files: { "src/index.ts": ["../examples/b.ts"], "examples/b.ts": [] },
    expected: "src imports only src and gen",
  },
  {
    name: "examples may not reach behind the index",
    files: { "examples/a.ts": ["../src/core/b.ts"], "src/core/b.ts": [] },
    expected: "examples use the public surface",
  },
  {
    name: "generated code may not import src",
    files: { "gen/a_pb.ts": ["../src/core/b.ts"], "src/core/b.ts": [] },
    expected: "generated code imports only generated code",
  },
  {
    name: "a file that is not there",
    files: { "src/core/a.ts": ["./b.ts"] },
    expected: "there is no such file",
  },
  { name: "a second index", files: { "src/core/index.ts": [] }, expected: "the only index file" },
  {
    name: "an empty name",
    files: { "src/core/string-utils.ts": [] },
    expected: "does not say what is inside",
  },
  {
    name: "a cycle",
    files: { "src/core/a.ts": ["./b.ts"], "src/core/b.ts": ["./c.ts"], "src/core/c.ts": ["./a.ts"] },
    expected: "import cycle: src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts",
  },
  {
    name: "grpc-js outside its owner",
    files: { "src/gateway/a.ts": ["@grpc/grpc-js"] },
    expected: "src/gateway/a.ts imports @grpc/grpc-js: only src/core/grpc/ and src/core/grpc-server.ts may",
  },
  {
    name: "fastify in core",
    files: { "src/core/a.ts": ["fastify"] },
    expected: "src/core/a.ts imports fastify: only src/gateway/ may",
  },
  {
    name: "yaml in two files",
    files: { "src/core/a.ts": ["yaml"], "src/gateway/b.ts": ["yaml"] },
    expected: "yaml is imported by src/core/a.ts and src/gateway/b.ts: only one file may",
  },
  { name: "a package without owner", files: { "src/core/a.ts": ["left-pad/x"] }, expected: "no owner" },
];

for (const { name, files, expected } of cases) {
  test(`import rules: ${name}`, () => {
    const texts = Object.entries(files).map(
      ([file, names]) => [file, names.map((to) => `import type { X } from "${to}";`).join("\n")] as const,
    );
    const planted = new Map<string, Owner>([
      ["@bufbuild/protobuf", "anywhere"],
      ["@grpc/grpc-js", ["src/core/grpc/", "src/core/grpc-server.ts"]],
      ["fastify", ["src/gateway/"]],
      ["yaml", "one file"],
    ]);
    const found = importViolations({ files: new Map(texts), owners: planted });
    if (expected === undefined) assert.deepEqual(found, []);
    else
      assert.ok(found.length === 1 && found[0]?.includes(expected), `${expected} not in ${found.join("; ")}`);
  });
}
