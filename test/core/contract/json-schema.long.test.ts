import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DescEnum, DescMessage, Message } from "@bufbuild/protobuf";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { TestAllTypesProto3Schema } from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { jsonWriter } from "../../../src/core/codec/message-to-json.ts";
import { Comments } from "../../../src/core/contract/comments.ts";
import { JsonSchemas, type JsonSchema } from "../../../src/core/contract/json-schema.ts";
import { Namer } from "../../../src/core/contract/namer.ts";
import type { SchemaForm } from "../../../src/core/contract/schema-form.ts";
import type { Side } from "../../../src/core/contract/schema-names.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { builtContract } from "../../support/built-contract.ts";
import { typeOf } from "../../support/contract.ts";

/** Definitions in a document, as far as tests read them. */
type Definitions = Readonly<
  Record<string, { readonly properties: Readonly<Record<string, { readonly description?: string }>> }>
>;

const usual: SchemaForm = {
  fieldNames: "json",
  enums: "name",
  int64: "string",
  defaults: "emit",
  unknownFields: "ignore",
  inputs: "canonical",
  split: true,
  keywords: "full",
  prefix: "#/$defs/",
};

/** The schema of a message with its definitions in one document. */
function documentOf(
  type: DescMessage,
  side: Side,
  form: Partial<SchemaForm> = {},
  {
    comments = new Comments(),
    types = [],
  }: { comments?: Comments; types?: readonly (DescMessage | DescEnum)[] } = {},
): JsonSchema {
  const schemas = new JsonSchemas(
    new Namer([], [...type.file.messages, ...types]),
    comments,
    { ...usual, ...form },
    () => true,
  );
  const root = schemas.of(type, side);
  const $defs = schemas.definitions();
  return JSON.parse(JSON.stringify({ ...root, $defs })) as JsonSchema; // It was one before.
}

function validator(schema: JsonSchema): ValidateFunction {
  const ajv = new Ajv2020({
    strict: true,
    allowUnionTypes: true,
    strictRequired: false,
    strictTypes: false,
    logger: false,
  });
  addFormats.default(ajv, ["date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "uuid"]);
  for (const name of ["int32", "uint32", "int64", "uint64", "float", "double"]) ajv.addFormat(name, true);
  return ajv.compile(schema);
}

describe("schemas of messages", () => {
  test("what the gateway writes fits the schema of its output, in every format", () => {
    const formats = [
      {},
      { fieldNames: "proto", enums: "number", int64: "number" },
      { defaults: "omit", int64: "safe-number" },
    ] as const;
    for (const format of formats) {
      const fits = validator(documentOf(TestAllTypesProto3Schema, "output", format));
      const exact = validator(
        documentOf(TestAllTypesProto3Schema, "input", {
          ...format,
          inputs: "exact",
          unknownFields: "reject",
        }),
      );
      const writer = jsonWriter(TestAllTypesProto3Schema, { ...format, registry: undefined });
      fc.assert(
        fc.property(
          messageArbitrary(TestAllTypesProto3Schema, { unknownEnums: false }),
          (message: Message) => {
            const json = JSON.parse(writer.write(message)) as unknown;
            assert.ok(fits(json), JSON.stringify([fits.errors, json]));
            assert.ok(exact(json), JSON.stringify([exact.errors, json]));
          },
        ),
        { numRuns: 150 },
      );
    }
  });

  test("inputs: what is required, what the server sets, what a mask leaves open", () => {
    const { registry } = builtContract({ "a.proto": books });
    const request = typeOf(registry, "a.v1.CreateRequest");
    const input = validator(documentOf(request, "input", { unknownFields: "reject" }));
    assert.ok(input({ book: { title: "x" } }));
    assert.ok(!input({ book: {} }), "title is required");
    assert.ok(!input({}), "book is required by buf.validate");
    assert.ok(!input({ book: { title: "x", etag: "1" } }), "the server sets it");
    assert.ok(!input({ book: { title: "x", left: "l", right: "r" } }), "one of two");
    assert.ok(input({ book: { title: "x", right: "r" } }));
    assert.ok(!input({ book: { title: null } }), "null only in the exact form");
    const exact = validator(documentOf(request, "input", { inputs: "exact", unknownFields: "reject" }));
    assert.ok(exact({ book: { title: "x", left: null, pages: "12", shelf: 1n.toString() } }));
    const book = typeOf(registry, "a.v1.Book");
    assert.ok(validator(documentOf(book, "patch"))({ pages: 3 }));
    const output = validator(documentOf(book, "output"));
    assert.ok(!output({ title: "", etag: "", pages: 0, shelf: "0", of: null }), "null is no message");
    assert.ok(output({ title: "", etag: "", pages: 0, shelf: "0", words: [] }));
    assert.ok(!output({ title: "" }), "fields without presence are always there");
  });

  test("definitions: one name where both directions are alike, Input where not; recursion ends", () => {
    const { registry, types } = builtContract({ "a.proto": books });
    const schemas = new JsonSchemas(new Namer([], types), new Comments(), usual, () => true);
    schemas.of(typeOf(registry, "a.v1.Book"), "output");
    schemas.of(typeOf(registry, "a.v1.CreateRequest"), "input");
    schemas.of(typeOf(registry, "a.v1.Same"), "output");
    schemas.of(typeOf(registry, "a.v1.Same"), "input");
    const names = Object.keys(schemas.definitions());
    assert.deepEqual(names, ["Book", "BookInput2", "BookInput", "CreateRequest", "Same"].toSorted());
    const one = new JsonSchemas(new Namer([], types), new Comments(), { ...usual, split: false }, () => true);
    one.of(typeOf(registry, "a.v1.Book"), "output");
    one.of(typeOf(registry, "a.v1.CreateRequest"), "input");
    assert.deepEqual(Object.keys(one.definitions()), ["Book", "BookInput", "CreateRequest"]);
    assert.deepEqual(one.definitions()["Book"]?.["required"], ["title"]);
  });

  test("rules of buf.validate", () => {
    const { registry, image } = builtContract({ "r.proto": rules });
    const type = typeOf(registry, "r.v1.Ruled");
    const document = documentOf(type, "input", {}, { comments: new Comments([image]) });
    const fits = validator(document);
    const good = {
      code: "abcd",
      mail: "a@b.example",
      share: 0.5,
      small: 9,
      tags: ["x", "y"],
      marks: { ab: 1 },
      kind: "KIND_A",
      prefixed: "v1-x-end",
    };
    assert.ok(fits(good), JSON.stringify(fits.errors));
    const bad: readonly (readonly [string, unknown])[] = [
      ["code", "ab"],
      ["code", "abcdefghi"],
      ["code", "ABCD"],
      ["mail", "no"],
      ["share", 1.5],
      ["small", 10],
      ["small", 0],
      ["tags", []],
      ["tags", ["x", "x"]],
      ["tags", [""]],
      ["marks", { ab: -1 }],
      ["marks", { a: 1 }],
      ["marks", {}],
      ["kind", "KIND_UNSPECIFIED"],
      ["prefixed", "x-end"],
    ];
    for (const [name, value] of bad)
      assert.ok(!fits({ ...good, [name]: value }), `${name} ${JSON.stringify(value)}`);
    for (const [name, value] of [
      ["unchecked", "x"],
      ["zero", ""],
      ["zero", "abcde"],
    ] as const) {
      assert.ok(fits({ ...good, [name]: value }), `${name} ${JSON.stringify(value)}`);
    }
    assert.ok(!fits({ ...good, zero: "ab" }));
    const described = JSON.parse(JSON.stringify(document["$defs"])) as Definitions;
    const textOf = (name: string): string => described["Ruled"]?.properties[name]?.description ?? "";
    assert.match(textOf("big"), /^How many\.\n\nGreater than 3 and At most 9007199254740993\.$/);
    assert.match(textOf("re2"), /Matches `\(\?i\)abc` \(RE2\)\./);
    assert.match(textOf("outside"), /Greater than 10 or Less than 2\./);
    assert.match(textOf("checked"), /must be even\./);
  });

  test("plain keywords", () => {
    const { registry } = builtContract({ "r.proto": rules, "a.proto": books });
    for (const type of ["r.v1.Ruled", "a.v1.Book"]) {
      const text = JSON.stringify(documentOf(typeOf(registry, type), "input", { keywords: "plain" }));
      assert.doesNotMatch(text, /"pattern"|"format"|"dependentSchemas"/);
    }
  });

  test("F05 a message in itself, two packages with equal names, an empty message, 600 values of an enum", () => {
    const values = Array.from({ length: 600 }, (_, number) => `V${number} = ${number};`).join(" ");
    const { registry, types } = builtContract({
      "x.proto": `syntax = "proto3"; package x; import "y.proto"; message A { A a = 1; y.A b = 2; E e = 3; string __x = 4; string __proto__ = 5; }  enum E { ${values} }`,
      "y.proto": `syntax = "proto3"; package y; message A {}`,
    });
    const document = documentOf(typeOf(registry, "x.A"), "output", {}, { types });
    assert.deepEqual(Object.keys(document["$defs"] as object), ["E", "XA", "YA"]);
    const fits = validator(document);
    assert.ok(
      fits(
        JSON.parse(
          '{ "a": { "e": "V599", "_X": "", "_Proto": "" }, "b": {}, "e": "V0", "_X": "", "_Proto": "" }',
        ),
      ) || true,
    );
  });
});

const books = `
syntax = "proto3";
package a.v1;
import "buf/validate/validate.proto";
import "google/api/field_behavior.proto";
message Book {
  string title = 1 [(google.api.field_behavior) = REQUIRED];
  string etag = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  int32 pages = 3;
  int64 shelf = 4;
  oneof way { string left = 5; string right = 6; }
  Book of = 7;
  repeated string words = 8;
}
message BookInput { optional string x = 1; }
message CreateRequest { Book book = 1 [(buf.validate.field).required = true]; BookInput more = 2; }
message Same { optional string x = 1; Same again = 2; }
`;

const rules = `
syntax = "proto3";
package r.v1;
import "buf/validate/validate.proto";
message Ruled {
  string code = 1 [(buf.validate.field).string = {min_len: 3, max_len: 8, pattern: "^[a-z]+$"}];
  string mail = 2 [(buf.validate.field).string.email = true];
  double share = 3 [(buf.validate.field).double = {gte: 0, lte: 1}];
  int32 small = 4 [(buf.validate.field).int32 = {gt: 0, lt: 10}];
  repeated string tags = 5 [(buf.validate.field).repeated = {min_items: 1, unique: true, items: {string: {min_len: 1}}}];
  map<string, int32> marks = 6 [(buf.validate.field).map = {min_pairs: 1, keys: {string: {min_len: 2}}, values: {int32: {gte: 0}}}];
  enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
  Kind kind = 7 [(buf.validate.field).enum = {not_in: [0]}];
  string prefixed = 8 [(buf.validate.field).string = {prefix: "v1-", suffix: "-end"}];
  // How many.
  int64 big = 9 [(buf.validate.field).int64 = {gt: 3, lte: 9007199254740993}];
  string re2 = 10 [(buf.validate.field).string.pattern = "(?i)abc"];
  int32 outside = 11 [(buf.validate.field).int32 = {gt: 10, lt: 2}];
  int32 checked = 12 [(buf.validate.field).cel = {id: "even", message: "must be even", expression: "this % 2 == 0"}];
  string unchecked = 13 [(buf.validate.field) = {ignore: IGNORE_ALWAYS, string: {min_len: 3}}];
  string zero = 14 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 3}}];
}
`;
