import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import type { DescEnum, DescField, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { loadProtoSources } from "../../src/core/schema/proto-sources.ts";

const root = join(import.meta.dirname, "../..");
const own = join(root, "proto");
const deps = join(dirname(import.meta.resolve("@grpc/grpc-js-xds").replace("file://", "")), "../../deps");
const paths = ["envoy-api", "googleapis", "protoc-gen-validate", "xds"].map((name) => join(deps, name));

/** Paths of our copies, as they are imported. */
const files = readdirSync(join(own, "envoy"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(own, join(entry.parentPath, entry.name)));

/** Newer than the protos of the package: the suite `ext-authz` compares it with those of Envoy 1.40. */
const newer: ReadonlySet<string> = new Set(["envoy.service.auth.v3.CheckResponse.error_response"]);

/** What the wire and the JSON mapping depend on. */
function shapeOf(field: DescField): string {
  const type = field.message ?? field.enum;
  const of = field.fieldKind === "map" ? `${field.mapKey} ${field.mapKind} ` : "";
  const kind = field.fieldKind === "list" ? `list ${field.listKind}` : field.fieldKind;
  return `${field.number} ${kind} ${of}${type?.typeName ?? field.scalar} ${field.oneof?.name ?? ""}`;
}

function typesOf(file: DescFile): ReadonlyMap<string, DescMessage | DescEnum> {
  const types = [...nestedTypes(file)].filter(({ kind }) => kind === "message" || kind === "enum");
  return new Map(types.map((type) => [type.typeName, type as DescMessage | DescEnum])); // As filtered above.
}

test("our copies of Envoy's messages have its names, numbers and types", () => {
  assert.ok(files.length > 20);
  const ours = loadProtoSources(files, [own]);
  const theirs = loadProtoSources(files, paths);
  let fields = 0;
  for (const path of files) {
    const copy: DescFile | undefined = ours.getFile(path);
    const original: DescFile | undefined = theirs.getFile(path);
    assert.ok(copy !== undefined && original !== undefined, path);
    const originals = typesOf(original);
    for (const [name, type] of typesOf(copy)) {
      const other = originals.get(name);
      if (type.kind === "enum") {
        assert.ok(other?.kind === "enum", name);
        const numbers = new Map(other.values.map((value) => [value.name, value.number]));
        for (const value of type.values)
          assert.equal(value.number, numbers.get(value.name), `${name} ${value.name}`);
        continue;
      }
      assert.ok(other?.kind === "message", name);
      for (const field of type.fields) {
        if (newer.has(`${name}.${field.name}`)) continue;
        const twin: DescField | undefined = other.fields.find((one) => one.name === field.name);
        assert.equal(shapeOf(field), twin && shapeOf(twin), `${name}.${field.name}`);
        fields++;
      }
    }
    for (const { typeName, methods } of copy.services) {
      const other: DescService | undefined = original.services.find((one) => one.typeName === typeName);
      for (const { name, methodKind, input, output } of methods) {
        const twin: DescMethod | undefined = other?.methods.find((method) => method.name === name);
        assert.deepEqual(
          [methodKind, input.typeName, output.typeName],
          [twin?.methodKind, twin?.input.typeName, twin?.output.typeName],
        );
      }
    }
  }
  assert.ok(fields > 100, `${fields} fields`);
});
