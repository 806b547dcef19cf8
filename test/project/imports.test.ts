import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { test } from "node:test";
import { readDependencyTable } from "./dependency-table.ts";
import { type Arrows, importViolations, importsOf, type Owner } from "./import-rules.ts";
import { arrows } from "./rooms.ts";

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

const { runtime, inside } = readDependencyTable(root);
const owners = new Map([...runtime, ...inside].map((row) => [row.name, row.owner]));

test("imports point one way", () => {
  const files = readSources("src", "gen", "examples");
  assert.ok(files.size > 0);
  assert.deepEqual(importViolations({ files, owners, arrows }), []);
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

test("every room has files", () => {
  const folders = new Set([...readSources("src").keys()].map((file) => file.slice("src/".length)));
  for (const room of Object.keys(arrows)) {
    assert.ok(
      [...folders].some((file) => file.startsWith(`${room}/`)),
      `${room} has no file`,
    );
  }
});

/** A house for planted breaches. */
const planted: Arrows = {
  "core/errors": [],
  "core/codec": ["core/errors"],
  "core/grpc": ["core/errors", "core/codec"],
  core: ["core/…"],
  "gateway/http": ["core/errors"],
  "gateway/doors/rest": ["core/…", "gateway/http", "gateway/doors"],
  "gateway/doors/websocket": ["core/…", "gateway/http", "gateway/doors"],
  "gateway/doors": ["core/…", "gateway/http", "gateway/doors/…"],
  gateway: ["core", "core/…", "gateway/…"],
  services: ["core/…"],
  entries: ["core", "core/…", "gateway", "gateway/…"],
};

/** A planted breach: what each file imports, and a part of the sentence that must come of it; none for allowed ones. */
const cases: { name: string; files: Record<string, string[]>; expected?: string }[] = [
  {
    name: "arrows lead down",
    files: {
      "src/index.ts": ["./gateway/http-server.ts", "./core/dial.ts", "./core/errors/c.ts"],
      "src/entries/e.ts": ["../core/dial.ts", "../gateway/doors/doors.ts", "../../gen/d_pb.ts"],
      "src/gateway/http-server.ts": ["../core/dial.ts", "./doors/doors.ts", "fastify", "node:http"],
      "src/gateway/doors/doors.ts": ["./rest/r.ts", "./websocket/w.ts"],
      "src/gateway/doors/door.ts": ["../http/h.ts"],
      "src/gateway/doors/rest/r.ts": ["../door.ts", "./streams/s.ts", "../../../core/grpc/f.ts"],
      "src/gateway/doors/rest/streams/s.ts": ["../../../http/h.ts"],
      "src/gateway/doors/websocket/w.ts": ["../door.ts"],
      "src/gateway/http/h.ts": ["../../core/errors/c.ts"],
      "src/services/b/b.ts": ["../../core/errors/c.ts", "../../../gen/d_pb.ts"],
      "src/core/errors/c.ts": ["../../../gen/d_pb.ts", "@bufbuild/protobuf"],
      "src/core/dial.ts": ["./errors/c.ts", "./grpc/f.ts"],
      "src/core/grpc/f.ts": ["../errors/c.ts", "../codec/g.ts", "@grpc/grpc-js"],
      "src/core/codec/g.ts": [],
      "gen/d_pb.ts": ["./e_pb.ts"],
      "gen/e_pb.ts": [],
      "examples/x.ts": [
        "../src/index.ts",
        "../src/entries/e.ts",
        "../gen/d_pb.ts",
        "./y.ts",
        "../src/services/b/b.ts",
      ],
      "examples/y.ts": [],
    },
  },
  {
    name: "gateway may not import services",
    files: { "src/gateway/http-server.ts": ["../services/b.ts"], "src/services/b.ts": [] },
    expected: "no arrow leads from gateway to services",
  },
  {
    name: "core may not import a room above",
    files: { "src/core/dial.ts": ["../gateway/http/b.ts"], "src/gateway/http/b.ts": [] },
    expected: "no arrow leads from core to gateway/http",
  },
  {
    name: "an arrow may not point up",
    files: { "src/core/errors/a.ts": ["../grpc/b.ts"], "src/core/grpc/b.ts": [] },
    expected: "no arrow leads from core/errors to core/grpc",
  },
  {
    name: "a room of core may not import an assembler",
    files: { "src/core/grpc/a.ts": ["../dial.ts"], "src/core/dial.ts": [] },
    expected: "no arrow leads from core/grpc to core",
  },
  {
    name: "doors may not import one another",
    files: { "src/gateway/doors/rest/a.ts": ["../websocket/b.ts"], "src/gateway/doors/websocket/b.ts": [] },
    expected: "no arrow leads from gateway/doors/rest to gateway/doors/websocket",
  },
  {
    name: "a folder of a room is its own business",
    files: { "src/gateway/doors/a.ts": ["./rest/streams/b.ts"], "src/gateway/doors/rest/streams/b.ts": [] },
    expected: "gateway/doors/rest/streams is private to gateway/doors/rest",
  },
  {
    name: "no file stands loose",
    files: { "src/gateway/a.ts": [] },
    expected: "src/gateway/a.ts: only src/gateway/http-server.ts and",
  },
  {
    name: "no room without a line",
    files: { "src/attic/a.ts": [] },
    expected: "test/project/rooms.ts has no room for it",
  },
  {
    name: "src may not import its own index",
    files: { "src/gateway/http-server.ts": ["../index.ts"], "src/index.ts": [] },
    expected: "nothing in src imports it",
  },
  {
    name: "src may not import its entries",
    files: { "src/index.ts": ["./entries/e.ts"], "src/entries/e.ts": [] },
    expected: "src/entries/e.ts is for users, nothing in src imports it",
  },
  {
    name: "an entry may not reach into a folder of a room",
    files: {
      "src/entries/e.ts": ["../gateway/doors/rest/streams/s.ts"],
      "src/gateway/doors/rest/streams/s.ts": [],
    },
    expected: "gateway/doors/rest/streams is private to gateway/doors/rest",
  },
  {
    name: "an entry may not import services",
    files: { "src/entries/e.ts": ["../services/b.ts"], "src/services/b.ts": [] },
    expected: "no arrow leads from entries to services",
  },
  {
    name: "src may not import examples",
    files: { "src/core/errors/a.ts": ["../../../examples/b.ts"], "examples/b.ts": [] },
    expected: "src imports only src and gen",
  },
  {
    name: "index may not import examples",
    files: { "src/index.ts": ["../examples/b.ts"], "examples/b.ts": [] },
    expected: "src imports only src and gen",
  },
  {
    name: "examples may not reach behind the index",
    files: { "examples/a.ts": ["../src/core/errors/b.ts"], "src/core/errors/b.ts": [] },
    expected: "examples use the public surface",
  },
  {
    name: "generated code may not import src",
    files: { "gen/a_pb.ts": ["../src/core/errors/b.ts"], "src/core/errors/b.ts": [] },
    expected: "generated code imports only generated code",
  },
  {
    name: "a file that is not there",
    files: { "src/core/errors/a.ts": ["./b.ts"] },
    expected: "there is no such file",
  },
  { name: "a second index", files: { "src/core/errors/index.ts": [] }, expected: "the only index file" },
  {
    name: "an empty name",
    files: { "src/core/errors/string-utils.ts": [] },
    expected: "does not say what is inside",
  },
  {
    name: "a cycle of files",
    files: {
      "src/core/errors/a.ts": ["./b.ts"],
      "src/core/errors/b.ts": ["./c.ts"],
      "src/core/errors/c.ts": ["./a.ts"],
    },
    expected:
      "import cycle: src/core/errors/a.ts → src/core/errors/b.ts → src/core/errors/c.ts → src/core/errors/a.ts",
  },
  {
    name: "a cycle of folders",
    files: {
      "src/gateway/doors/rest/streams/a.ts": ["../files/b.ts"],
      "src/gateway/doors/rest/files/b.ts": [],
      "src/gateway/doors/rest/files/c.ts": ["../streams/d.ts"],
      "src/gateway/doors/rest/streams/d.ts": [],
    },
    expected: "folder cycle in src/gateway/doors/rest: streams → files → streams",
  },
  {
    name: "grpc-js outside its owner",
    files: { "src/gateway/http/a.ts": ["@grpc/grpc-js"] },
    expected:
      "src/gateway/http/a.ts imports @grpc/grpc-js: only src/core/grpc/ and src/core/grpc-server.ts may",
  },
  {
    name: "fastify in core",
    files: { "src/core/errors/a.ts": ["fastify"] },
    expected: "src/core/errors/a.ts imports fastify: only src/gateway/ may",
  },
  {
    name: "yaml in two files",
    files: { "src/core/errors/a.ts": ["yaml"], "src/gateway/http/b.ts": ["yaml"] },
    expected: "yaml is imported by src/core/errors/a.ts and src/gateway/http/b.ts: only one file may",
  },
  {
    name: "a package without owner",
    files: { "src/core/errors/a.ts": ["left-pad/x"] },
    expected: "no owner",
  },
];

for (const { name, files, expected } of cases) {
  test(`import rules: ${name}`, () => {
    const texts = Object.entries(files).map(
      ([file, names]) => [file, names.map((to) => `import type { X } from "${to}";`).join("\n")] as const,
    );
    const ownersOfPlanted = new Map<string, Owner>([
      ["@bufbuild/protobuf", "anywhere"],
      ["@grpc/grpc-js", ["src/core/grpc/", "src/core/grpc-server.ts"]],
      ["fastify", ["src/gateway/"]],
      ["yaml", "one file"],
    ]);
    const found = importViolations({ files: new Map(texts), owners: ownersOfPlanted, arrows: planted });
    if (expected === undefined) assert.deepEqual(found, []);
    else
      assert.ok(found.length === 1 && found[0]?.includes(expected), `${expected} not in ${found.join("; ")}`);
  });
}
