import { test } from "node:test";
import assert from "node:assert/strict";
import { annotatedBindings } from "../../../src/core/http-rule/http-rule.ts";
import { compileRoute, routeName } from "../../../src/core/http-rule/route.ts";
import type { Route } from "../../../src/core/http-rule/route.ts";
import { buildMethod, on } from "../../gateway/routing/routing-fixture.ts";
import type { RuleParts } from "../../gateway/routing/routing-fixture.ts";

const everyKind = "protobuf_test_messages.proto3.TestAllTypesProto3";

/** The first route of an rpc from and to a message that has every kind of field. */
function compile(route: string, parts: RuleParts = {}): Route {
  const [binding] = annotatedBindings(buildMethod(on(route, parts), { input: everyKind, output: everyKind }));
  assert.ok(binding !== undefined);
  return compileRoute(binding);
}

test("variables are resolved to fields", () => {
  const route = compile(
    "GET /a/{optional_int32}/{optional_nested_message.corecursive.optional_string=b/*}/{optional_bytes=**}:v",
  );
  assert.equal(
    routeName(route),
    "GET /a/{optional_int32}/{optional_nested_message.corecursive.optional_string=b/*}/{optional_bytes=**}:v",
  );
  assert.deepEqual(
    route.variables.map(({ name, fields, multiSegment }) => [
      name,
      fields.map((field) => field.name),
      multiSegment,
    ]),
    [
      ["optional_int32", ["optional_int32"], false],
      [
        "optional_nested_message.corecursive.optional_string",
        ["optional_nested_message", "corecursive", "optional_string"],
        true,
      ],
      ["optional_bytes", ["optional_bytes"], true],
    ],
  );
});

test("fields with a string form can be bound in the path", () => {
  const scalars = ["int32", "int64", "uint64", "double", "bool", "string", "bytes", "nested_enum"];
  const wrappers = ["bool_wrapper", "int64_wrapper", "string_wrapper", "bytes_wrapper", "double_wrapper"];
  const times = ["timestamp", "duration", "field_mask"];
  for (const name of [...scalars, ...wrappers, ...times]) compile(`GET /a/{optional_${name}}`);
  compile("GET /a/{oneof_string}/{optional_string=lit}");
});

test("variables that can not be bound are refused with column and field", () => {
  const cases = [
    ["/a/{nope}", 4, /"nope": .*TestAllTypesProto3 has no field "nope"$/],
    ["/a/{optionalString}", 4, /rules use proto names: "optional_string"/],
    ["/a/b/{optional_nested_message.nope}", 6, /NestedMessage has no field "nope"/],
    ["/a/{optional_string.x}", 4, /"optional_string" .* is not a singular message/],
    ["/a/{repeated_nested_message.a}", 4, /"repeated_nested_message" .* is not a singular message/],
    ["/a/{repeated_string}", 4, /repeated field/],
    ["/a/{map_string_string}", 4, /map field/],
    ["/a/{optional_nested_message}", 4, /NestedMessage has no string form/],
    ["/a/{optional_struct}", 4, /google\.protobuf\.Struct has no string form/],
    ["/a/{optional_value}", 4, /google\.protobuf\.Value has no string form/],
    ["/a/{optional_any}", 4, /google\.protobuf\.Any has no string form/],
    ["/a/{optional_timestamp.seconds}", 4, /google\.protobuf\.Timestamp and can only be bound as a whole/],
    ["/a/{optional_string_wrapper.value}", 4, /can only be bound as a whole/],
    ["/a/{__proto__}", 4, /has no field "__proto__"/],
    ["/a/{optional_string", 20, /expected "}"/],
  ] as const;
  for (const [template, column, reason] of cases) {
    assert.throws(
      () => compile(`GET ${template}`),
      (error) => {
        assert.ok(error instanceof Error);
        const start = `route GET "${template}" of test.routing.v1.Routing.Call (test/routing/routing.proto): column ${column}: `;
        assert.ok(error.message.startsWith(start), error.message);
        assert.match(error.message, reason);
        return true;
      },
    );
  }
});

test("two variables may not set one oneof", () => {
  assert.throws(
    () => compile("GET /a/{oneof_string}/{oneof_uint32}"),
    /"oneof_string" and "oneof_uint32" .* "oneof_field"/,
  );
  assert.throws(
    () => compile("GET /a/{recursive_message.oneof_string}/{recursive_message.oneof_uint32}"),
    /members of the same oneof/,
  );
  compile("GET /a/{recursive_message.oneof_string}/{oneof_uint32}");
});

test("body is the whole request, nothing, or a path of fields", () => {
  assert.equal(compile("POST /a").bodyField, undefined);
  assert.equal(compile("POST /a", { body: "*" }).bodyField, "*");
  const names = (body: string): readonly string[] => {
    const { bodyField } = compile("POST /a", { body });
    assert.ok(typeof bodyField === "object");
    return bodyField.map(({ name }) => name);
  };
  assert.deepEqual(names("repeated_string"), ["repeated_string"]);
  assert.deepEqual(names("map_string_string"), ["map_string_string"]);
  assert.deepEqual(names("optional_nested_message.corecursive"), ["optional_nested_message", "corecursive"]);
});

test("a body whose child the path binds is the usual update rule", () => {
  const route = compile("PATCH /a/{optional_nested_message.a}", { body: "optional_nested_message" });
  assert.equal(route.variables.length, 1);
});

test("a wrong body or response body is refused by name", () => {
  const cases = [
    [{ body: "nope" }, /body "nope": .* has no field "nope"/],
    [{ body: "optionalString" }, /rules use proto names: "optional_string"/],
    [{ body: "optional_nested_message.nope" }, /has no field "nope"/],
    [{ body: "repeated_nested_message.a" }, /is not a singular message/],
    [{ body: "optional_string" }, /body "optional_string": the path binds this field already/],
    [{ responseBody: "nope" }, /response_body "nope": .* has no field "nope"/],
    [
      { responseBody: "optional_nested_message.a" },
      /response_body "optional_nested_message\.a": .* has no field/,
    ],
  ] as const;
  for (const [rule, reason] of cases) {
    assert.throws(
      () => compile("POST /a/{optional_string}", rule),
      (error) => {
        assert.ok(error instanceof Error);
        assert.match(
          error.message,
          /^route POST "\/a\/\{optional_string\}" of test\.routing\.v1\.Routing\.Call \(.*\.proto\): /,
        );
        assert.match(error.message, reason);
        return true;
      },
    );
  }
  assert.equal(compile("GET /a", { responseBody: "repeated_string" }).responseField?.name, "repeated_string");
  assert.equal(compile("GET /a").responseField, undefined);
});
