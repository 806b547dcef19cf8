import { test } from "node:test";
import assert from "node:assert/strict";
import { METHODS } from "node:http";
import { create, createFileRegistry, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { file_google_api_annotations } from "../../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { annotatedBindings, implicitBinding, ruleBindings } from "../../../src/core/http-rule/http-rule.ts";
import type { HttpBinding } from "../../../src/core/http-rule/http-rule.ts";
import { routableMethods } from "../../../src/core/http-rule/http-methods.ts";
import { buildMethod, on } from "../../gateway/routing/routing-fixture.ts";

function describe({ httpMethod, template, body, responseBody }: HttpBinding): string {
  return `${httpMethod} ${template} body=${body} response=${responseBody}`;
}

const gomsBindings = [
  "GET /goms body= response=",
  "POST /goms body=* response=",
  "GET /goms/{id} body= response=",
  "PATCH /goms/{id} body=* response=",
  "DELETE /goms/{id} body= response=",
];

test("annotations of generated descriptors are read", () => {
  assert.deepEqual(GoMs.methods.flatMap((method) => annotatedBindings(method)).map(describe), gomsBindings);
});

test("annotations of a registry with its own copy of the extension are read", () => {
  const files = new Map([[GoMs.file.name, GoMs.file.proto]]);
  const collect = (dependencies: readonly (typeof GoMs.file)[]): void => {
    for (const file of dependencies) {
      files.set(file.name, file.proto);
      collect(file.dependencies);
    }
  };
  collect([...GoMs.file.dependencies, file_google_api_annotations]);
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].toReversed() });
  const loaded = fromBinary(FileDescriptorSetSchema, toBinary(FileDescriptorSetSchema, set));
  const service = createRegistry(createFileRegistry(loaded)).getService(GoMs.typeName);
  assert.notEqual(service, GoMs);
  assert.deepEqual(
    service?.methods.flatMap((method) => annotatedBindings(method)).map(describe),
    gomsBindings,
  );
});

test("each binding of a rule has its own body and response body", () => {
  const rule = on("POST /a", {
    body: "x",
    responseBody: "y",
    additionalBindings: [
      on("PUT /b/{x}", { body: "*" }),
      on("GET /c", { responseBody: "z" }),
      on("PURGE /d"),
      on("* /e"),
    ],
  });
  const method = buildMethod(rule);
  assert.deepEqual(annotatedBindings(method).map(describe), [
    "POST /a body=x response=y",
    "PUT /b/{x} body=* response=",
    "GET /c body= response=z",
    "PURGE /d body= response=",
    "* /e body= response=",
  ]);
  assert.equal(annotatedBindings(method)[0]?.source, "test/routing/routing.proto");
});

test("every rpc has POST /package.Service/Method, an rpc without annotation nothing else", () => {
  const method = buildMethod(undefined);
  assert.deepEqual(annotatedBindings(method), []);
  const binding = implicitBinding(method);
  assert.equal(describe(binding), "POST /test.routing.v1.Routing/Call body=* response=");
  assert.equal(binding.implicit, true);
});

test("wrong rules are refused by the rpc's name", () => {
  const nested = on("GET /b", { additionalBindings: [on("GET /c")] });
  const cases = [
    [create(HttpRuleSchema, { body: "*" }), /no pattern/],
    [on("GET /a", { additionalBindings: [create(HttpRuleSchema)] }), /no pattern/],
    [on("GET /a", { additionalBindings: [nested] }), /may not have additional_bindings/],
    [on("CONNECT /a"), /custom kind "CONNECT"/],
    [on("FOO /a"), /custom kind "FOO"/],
    [on("head /a"), /in capitals: "HEAD"/],
    [on("__proto__ /a"), /custom kind "__proto__"/],
  ] as const;
  for (const [rule, reason] of cases) {
    const named = (error: unknown): boolean => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /^HTTP rule of test\.routing\.v1\.Routing\.Call \(rules\.yaml:3:5\): /);
      assert.match(error.message, reason);
      return true;
    };
    assert.throws(() => ruleBindings(buildMethod(undefined), rule, "rules.yaml:3:5"), named);
  }
});

test("an annotation that is no HttpRule is refused by the rpc's name", () => {
  const method = buildMethod(undefined);
  const options = create(MethodOptionsSchema);
  // A length that runs beyond the data.
  options.$unknown = [{ no: 72295728, wireType: 2, data: new Uint8Array([2, 0x0a, 9]) }];
  const broken: DescMethod = { ...method, proto: { ...method.proto, options } };
  assert.throws(
    () => annotatedBindings(broken),
    /Routing\.Call \(test\/routing\/routing\.proto\): .*not a valid/,
  );
});

test("the HTTP methods of routes are those that Node's parser knows, without CONNECT", () => {
  assert.deepEqual(
    [...routableMethods],
    METHODS.filter((word) => word !== "CONNECT"),
  );
});
