import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { file_go_micro_service_goms_goms } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { readFileSet } from "../../../src/core/schema/file-set.ts";
import { descriptorSetSource, toSchema } from "../../../src/core/schema/schema.ts";

type FileInit = MessageInitShape<typeof FileDescriptorProtoSchema>;

function set(...file: FileInit[]): Uint8Array {
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}

const string = { label: FieldDescriptorProto_Label.OPTIONAL, type: FieldDescriptorProto_Type.STRING };

test("reads a set whatever the order of its files, and puts known imports in", () => {
  const registry = readFileSet(
    set(
      {
        name: "b.proto",
        package: "b",
        dependency: ["a.proto", "google/protobuf/any.proto"],
        syntax: "proto3",
      },
      { name: "a.proto", package: "a", syntax: "proto3", messageType: [{ name: "A" }] },
    ),
    "set.binpb",
  );
  assert.ok(registry.getMessage("a.A"));
  assert.ok(registry.getMessage("google.protobuf.Any"));
});

test("gives fields the JSON names that compilers give", () => {
  const names = ["plain", "two_words", "a__b", "trailing_", "x_1"].map((name, i) => ({
    ...string,
    name,
    number: i + 1,
  }));
  const registry = readFileSet(
    set({ name: "a.proto", syntax: "proto3", messageType: [{ name: "M", field: names }] }),
    "set.binpb",
  );
  assert.deepEqual(
    registry.getMessage("M")?.fields.map((field) => field.jsonName),
    ["plain", "twoWords", "aB", "trailing", "x1"],
  );
});

describe("T28: what is wrong with a set is named", () => {
  const cases: [name: string, bytes: Uint8Array, expected: RegExp][] = [
    [
      "no protobuf",
      new TextEncoder().encode("{}"),
      /^TypeError: x\.binpb: not a binary google\.protobuf\.FileDescriptorSet$/,
    ],
    ["nothing", new Uint8Array(), /x\.binpb: the descriptor set has no files/],
    [
      "a missing import",
      set({ name: "a.proto", dependency: ["b.proto"] }),
      /x\.binpb: a\.proto imports b\.proto, which is missing; write the set with all imports/,
    ],
    [
      "imports in a circle",
      set({ name: "a.proto", dependency: ["b.proto"] }, { name: "b.proto", dependency: ["a.proto"] }),
      /x\.binpb: files import one another in a circle: a\.proto → b\.proto → a\.proto/,
    ],
    [
      "a type that is nowhere",
      set({
        name: "a.proto",
        messageType: [
          {
            name: "M",
            field: [{ name: "f", number: 1, type: FieldDescriptorProto_Type.MESSAGE, typeName: ".Nope" }],
          },
        ],
      }),
      /x\.binpb: .*Nope/,
    ],
    [
      "a name that is no name",
      set({ name: "a.proto", messageType: [{ name: "M", field: [{ ...string, name: "a b", number: 1 }] }] }),
      /x\.binpb: .*a b/,
    ],
  ];
  for (const [name, bytes, expected] of cases) {
    test(name, () => assert.throws(() => readFileSet(bytes, "x.binpb"), expected));
  }
});

describe("toSchema", () => {
  const service = (name: string) => ({ name, method: [] });
  const registry = readFileSet(
    set(
      { name: "a.proto", package: "a", service: [service("One"), service("Two")] },
      { name: "h.proto", package: "grpc.health.v1", service: [service("Health")] },
      { name: "r.proto", package: "grpc.reflection.v1", service: [service("ServerReflection")] },
    ),
    "x",
  );
  const names = (only?: string[]) => toSchema(registry, only).services.map((service) => service.typeName);

  test("exposes everything but a server's own services", () => assert.deepEqual(names(), ["a.One", "a.Two"]));
  test("narrows to the services named", () => assert.deepEqual(names(["a.Two", "a.Two"]), ["a.Two"]));
  test("exposes a server's own service when it is named", () =>
    assert.deepEqual(names(["grpc.health.v1.Health"]), ["grpc.health.v1.Health"]));
  test("names a service that is not there", () =>
    assert.throws(() => names(["a.Three"]), /no service a\.Three; they have a\.One, a\.Two/));
  test("refuses contracts without services", () =>
    assert.throws(() => toSchema(readFileSet(set({ name: "e.proto" }), "e")), /define no service/));
  test("keeps the rules of generated descriptors", () =>
    assert.equal(
      readFileSet(set(file_go_micro_service_goms_goms.proto), "goms").getService("go.micro.service.goms.GoMs")
        ?.methods.length,
      5,
    ));
});

test("a set may have any size, and keeps neither comments nor what no served service needs", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "file-set-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "large.binpb");
  const file = (name: string, service: boolean, ...dependency: string[]): FileInit => ({
    name: `${name}.proto`,
    package: name,
    syntax: "proto3",
    dependency: dependency.map((other) => `${other}.proto`),
    messageType: [{ name: "M" }],
    service: service ? [{ name: "S" }] : [],
    sourceCodeInfo: { location: [{ path: [4, 0], span: [1, 2, 3], leadingComments: "x".repeat(7_000_000) }] },
  });
  writeFileSync(
    path,
    set(
      file("wanted", true, "shared"),
      file("shared", false),
      file("other", true, "shared", "others"),
      file("others", false),
      file("details", false),
    ),
  );
  const load = (only: string[]) => descriptorSetSource([path], only).load(new AbortController().signal);
  const filesOf = async (only: string[]) =>
    [...(await load(only)).registry.files].map((desc) => {
      assert.equal(desc.proto.sourceCodeInfo, undefined);
      return desc.name;
    });
  assert.deepEqual(await filesOf(["wanted.S"]), ["shared", "wanted", "details"]);
  assert.equal((await filesOf([])).length, 5);
  await assert.rejects(load(["nope.S"]), /no service nope\.S; they have wanted\.S, other\.S$/);
});
