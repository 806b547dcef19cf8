import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { getOption, hasOption, toBinary, toJson, type FileRegistry } from "@bufbuild/protobuf";
import {
  FieldDescriptorProtoSchema,
  MethodOptionsSchema,
  type FieldDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { readFileSet } from "../../../src/core/schema/file-set.ts";
import { loadProtoSources } from "../../../src/core/schema/proto-sources.ts";

const buf = join(import.meta.dirname, "../../../node_modules/.bin/buf");
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "proto-sources-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>, name: string): string {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** The registry that `buf build` gives for a folder, with the vendored google/api beside it. */
function built(root: string): FileRegistry {
  const image = join(root, "image.binpb");
  const workspace = JSON.stringify({ version: "v2", modules: [{ path: "." }] });
  writeFileSync(join(root, "buf.yaml"), workspace);
  for (const name of ["annotations", "http", "httpbody", "field_behavior"]) {
    const path = join(root, `google/api/${name}.proto`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, readFileSync(join(import.meta.dirname, `../../../proto/google/api/${name}.proto`)));
  }
  execFileSync(buf, ["build", "-o", image], { cwd: root });
  return readFileSet(readFileSync(image), "image.binpb");
}

function withoutOptions({ options: _, ...field }: FieldDescriptorProto): FieldDescriptorProto {
  return field;
}

/** What routes, codecs and handlers look at, of every message, enum and rpc outside google. */
function facts(registry: FileRegistry): Record<string, unknown> {
  const facts: Record<string, unknown> = {};
  for (const desc of registry) {
    if (desc.typeName.startsWith("google.")) continue;
    switch (desc.kind) {
      case "message":
        facts[desc.typeName] = desc.fields.map((field) => ({
          ...(toJson(FieldDescriptorProtoSchema, withoutOptions(field.proto)) as object),
          oneofIndex: field.oneof?.name,
          kind: field.fieldKind,
          presence: field.presence,
          json: field.jsonName,
          deprecated: field.deprecated,
          packed: field.fieldKind === "list" ? field.packed : undefined,
          delimited: field.fieldKind === "message" ? field.delimitedEncoding : undefined,
          entry: field.fieldKind === "map" ? [field.mapKey, field.mapKind] : undefined,
        }));
        break;
      case "enum":
        facts[desc.typeName] = {
          open: desc.open,
          values: desc.values.map(({ name, number }) => [name, number]),
        };
        break;
      case "service":
        for (const method of desc.methods) {
          facts[`${desc.typeName}/${method.name}`] = {
            kind: method.methodKind,
            input: method.input.typeName,
            output: method.output.typeName,
            idempotency: method.idempotency,
            http: hasOption(method, http) ? toJson(HttpRuleSchema, getOption(method, http)) : undefined,
            options:
              method.proto.options === undefined
                ? 0
                : toBinary(MethodOptionsSchema, method.proto.options).length,
          };
        }
        break;
      case "extension":
        facts[desc.typeName] = [desc.extendee.typeName, desc.number, desc.fieldKind];
    }
  }
  return facts;
}

const shop = {
  "shop/v1/shop.proto": `
    syntax = "proto3";
    package shop.v1;
    import "google/api/annotations.proto";
    import "google/api/httpbody.proto";
    import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    import "shop/v1/types.proto";
    import "common/money.proto";
    // A shop.
    service Shop {
      option deprecated = true;
      rpc GetItem(GetItemRequest) returns (Item) {
        option idempotency_level = NO_SIDE_EFFECTS;
        option (google.api.http) = {
          get: "/v1/{name=shelves/*/items/*}"
          additional_bindings { get: "/v1/items/{id}" }
          additional_bindings { post: "/v1/items:get" body: "*" response_body: "price" }
        };
      }
      rpc Update(UpdateRequest) returns (shop.v1.Item) {
        option (google.api.http).patch = "/v1/{item.name=shelves/*}";
        option (google.api.http).body = "item";
      }
      rpc One(google.protobuf.Empty) returns (.google.protobuf.Empty) {
        option (.google.api.http) = { custom: { kind: "HEAD" path: "/v1/one" } additional_bindings: { delete: "/v1/one" } };
      }
      rpc Watch(stream GetItemRequest) returns (stream google.api.HttpBody);
      rpc Plain(google.protobuf.Struct) returns (Item) {}
    }
    message GetItemRequest { string name = 1; int64 id = 2; map<string, Item> by_name = 3; map<int32, Kind> kinds = 4; }
    message UpdateRequest { Item item = 1; google.protobuf.FieldMask update_mask = 2; }
    message Item {
      string name = 1 [json_name = "title"];
      optional int32 count = 2;
      repeated sint64 numbers = 3;
      repeated fixed32 loose = 4 [packed = false];
      oneof choice { string text = 5; Nested nested = 6; bytes raw = 7; }
      optional string note = 8;
      common.Money price = 9;
      google.protobuf.Timestamp created_at = 10 [deprecated = true];
      google.protobuf.Int64Value maybe = 11;
      repeated Nested.Deep deep = 12;
      google.protobuf.Value any_value = 13;
      message Nested { message Deep { Kind kind = 1; } Deep deep = 1; enum Inner { INNER_ZERO = 0; INNER_MINUS = -1; } Inner inner = 2; }
    }`,
  "shop/v1/types.proto": `
    syntax = "proto3";
    package shop.v1;
    enum Kind { option allow_alias = true; KIND_UNSPECIFIED = 0; KIND_A = 1; KIND_B = 1; }`,
  "common/money.proto": `
    syntax = "proto3";
    package common;
    message Money { string currency = 1; int64 units = 2; }`,
};

const legacy = {
  "old/old.proto": `
    syntax = "proto2";
    package old;
    import "google/protobuf/descriptor.proto";
    extend google.protobuf.MethodOptions { optional Limit limit = 50001; repeated string tag = 50002; }
    message Limit { optional int32 rate = 1; repeated string keys = 2; optional Level level = 3; }
    enum Level { LOW = 1; HIGH = 2; }
    message Request {
      required string id = 1;
      optional int32 count = 2 [default = 7];
      repeated int32 many = 3 [packed = true];
      repeated int32 loose = 4;
      optional group Result = 5 { optional string url = 6; }
      extensions 100 to 199;
    }
    extend Request { optional string extra = 100; }
    service Old {
      rpc Do(Request) returns (Request) { option (limit) = { rate: 5 keys: "a" level: HIGH }; option (tag) = "x"; }
    }`,
};

const edition = {
  "ed/ed.proto": `
    edition = "2023";
    package ed;
    option features.field_presence = IMPLICIT;
    message M {
      int32 plain = 1;
      int32 explicit = 2 [features.field_presence = EXPLICIT];
      repeated int32 expanded = 3 [features.repeated_field_encoding = EXPANDED];
      Sub delimited = 4 [features.message_encoding = DELIMITED];
      Closed closed = 5 [features.field_presence = EXPLICIT];
      message Sub { int32 a = 1; }
    }
    enum Closed { option features.enum_type = CLOSED; ONE = 0; TWO = 2; }
    service S { rpc Do(M) returns (M); }`,
};

describe("contracts from .proto sources are those of buf build", () => {
  for (const [name, files] of Object.entries({ shop, legacy, edition })) {
    test(name, () => {
      const root = write(files, name);
      const sources = loadProtoSources(Object.keys(files).slice(0, 1), [root]);
      assert.deepEqual(facts(sources), facts(built(root)));
      assert.ok(Object.keys(facts(sources)).length >= 3);
    });
  }
});

describe("what is wrong with sources is named", () => {
  const cases: [name: string, files: Record<string, string>, expected: RegExp][] = [
    ["no such file", {}, /a\.proto: no such file, neither as a path nor below/],
    [
      "an import that is nowhere",
      { "a.proto": 'syntax = "proto3"; import "b/b.proto";' },
      /b\/b\.proto is imported but in none of/,
    ],
    [
      "a syntax error",
      { "a.proto": 'syntax = "proto3";\nmessage M {\n  string = 1;\n}' },
      /illegal name '=' \(.*a\.proto, line 3\)/,
    ],
    ["an unknown type", { "a.proto": 'syntax = "proto3"; message M { Missing m = 1; }' }, /no such.*Missing/],
    [
      "files in a circle",
      {
        "a.proto": 'syntax = "proto3"; package a; import "b.proto"; message A { b.B b = 1; }',
        "b.proto": 'syntax = "proto3"; package b; import "a.proto"; message B { a.A a = 1; }',
      },
      /import one another in a circle: [ab]\.proto → [ab]\.proto → [ab]\.proto/,
    ],
    [
      "a rule without the file that defines rules",
      {
        "a.proto": `syntax = "proto3"; package a; message A {}
          service S { rpc Do(A) returns (A) { option (google.api.http) = { get: "/a" }; } }`,
      },
      /a\.S\.Do: option \(google\.api\.http\): no file defines this option/,
    ],
    [
      "a rule with an unknown field",
      {
        "a.proto": `syntax = "proto3"; package a; import "google/api/annotations.proto"; message A {}
          service S { rpc Do(A) returns (A) { option (google.api.http) = { got: "/a" }; } }`,
      },
      /a\.S\.Do: option \(google\.api\.http\): google\.api\.HttpRule has no field got/,
    ],
  ];
  for (const [name, files, expected] of cases) {
    test(name, () => {
      const root = write(files, name.replaceAll(" ", "-"));
      assert.throws(() => loadProtoSources(["a.proto"], [root]), expected);
    });
  }
});
