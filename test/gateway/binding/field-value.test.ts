import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  create,
  type DescField,
  type DescMessage,
  type JsonValue,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import {
  DurationSchema,
  FieldDescriptorProtoSchema,
  FieldMaskSchema,
  ListValueSchema,
  StringValueSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { KindsSchema } from "../../../gen/tsms/test/v1/binding_pb.ts";
import { textParser } from "../../../src/gateway/binding/field-value.ts";
import { scalarParser } from "../../../src/gateway/binding/scalar-text.ts";
import { codePoint } from "../../arbitraries/code-point.ts";

function fieldOf(name: string, message: DescMessage = KindsSchema): DescField {
  const field = message.fields.find((candidate) => candidate.name === name);
  assert.ok(field, `${message.typeName} has no field ${name}`);
  return field;
}

function parse(name: string, text: string): unknown {
  const parser = textParser(fieldOf(name));
  assert.ok(parser, `${name} has no form as text`);
  return parser.parse(text);
}

const int64Limits = { min: -9223372036854775808n, max: 9223372036854775807n };
const notDecimal = [
  "",
  "-",
  "+5",
  " 1",
  "1 ",
  "0x10",
  "1e3",
  "1.0",
  "1_000",
  "01",
  "-01",
  "--1",
  "abc",
  "٣",
  "1n",
  "NaN",
];

/** Field name, texts with their values, texts that are refused. */
const accepted: readonly [field: string, text: string, value: unknown][] = [
  ["bool_value", "true", true],
  ["bool_value", "TRUE", true],
  ["bool_value", "False", false],
  ["bool_value", "1", true],
  ["bool_value", "0", false],
  ["int32_value", "0", 0],
  ["int32_value", "-0", 0],
  ["int32_value", "-2147483648", -2147483648],
  ["int32_value", "2147483647", 2147483647],
  ["sint32_value", "-7", -7],
  ["sfixed32_value", "7", 7],
  ["uint32_value", "4294967295", 4294967295],
  ["fixed32_value", "4294967295", 4294967295],
  ["int64_value", "9007199254740993", 9007199254740993n],
  ["int64_value", "-9223372036854775808", int64Limits.min],
  ["int64_value", "9223372036854775807", int64Limits.max],
  ["sint64_value", "-1", -1n],
  ["sfixed64_value", "12", 12n],
  ["uint64_value", "18446744073709551615", 18446744073709551615n],
  ["fixed64_value", "0", 0n],
  ["long_as_text", "9007199254740993", "9007199254740993"],
  ["double_value", "1.5e300", 1.5e300],
  ["double_value", "-0", -0],
  ["double_value", "0.1", 0.1],
  ["double_value", "NaN", NaN],
  ["double_value", "Infinity", Infinity],
  ["double_value", "-Infinity", -Infinity],
  ["float_value", "0.5", 0.5],
  ["float_value", "0.1", Math.fround(0.1)],
  ["float_value", "NaN", NaN],
  ["float_value", "-Infinity", -Infinity],
  ["string_value", "", ""],
  ["string_value", " as it is ", " as it is "],
  ["string_value", "__proto__", "__proto__"],
  ["bytes_value", "", new Uint8Array(0)],
  ["bytes_value", "+/8=", new Uint8Array([0xfb, 0xff])],
  ["bytes_value", "-_8=", new Uint8Array([0xfb, 0xff])],
  ["bytes_value", "-_8", new Uint8Array([0xfb, 0xff])],
  ["kind", "KIND_LARGE", 2],
  ["kind", "2", 2],
  ["kind", "-1", -1],
  ["kind", "77", 77],
  ["kind_list", "KIND_SMALL", 1],
  ["optional_int32", "0", 0],
  ["int64_wrapper", "9007199254740993", 9007199254740993n],
  ["uint32_wrapper", "4294967295", 4294967295],
  ["string_wrapper", "", ""],
  ["bool_wrapper", "0", false],
  ["bytes_wrapper", "AQ", new Uint8Array([1])],
  ["double_wrapper", "1e3", 1000],
  ["choice_wrapper", "true", create(fieldOf("choice_wrapper").message ?? assert.fail(), { value: true })],
  ["wrapper_map", "x", create(StringValueSchema, { value: "x" })],
  ["timestamp", "1970-01-01T00:00:01.000000001Z", create(TimestampSchema, { seconds: 1n, nanos: 1 })],
  ["timestamp", "1970-01-01T01:00:00+01:00", create(TimestampSchema)],
  ["timestamp", "2024-02-29T12:00:00Z", create(TimestampSchema, { seconds: 1709208000n })],
  ["duration", "1.5s", create(DurationSchema, { seconds: 1n, nanos: 500_000_000 })],
  ["duration", "-0.5s", create(DurationSchema, { nanos: -500_000_000 })],
  ["duration_map", "3s", create(DurationSchema, { seconds: 3n })],
  ["field_mask", "", create(FieldMaskSchema)],
  ["field_mask", "fooBar,baz.quxQuux", create(FieldMaskSchema, { paths: ["foo_bar", "baz.qux_quux"] })],
  ["field_mask", "foo_bar,baz.qux_quux", create(FieldMaskSchema, { paths: ["foo_bar", "baz.qux_quux"] })],
  ["field_mask", "*", create(FieldMaskSchema, { paths: ["*"] })],
  ["struct", '{"a":[1,null],"b":{"c":"d"}}', { a: [1, null], b: { c: "d" } }],
  ["struct_list", "{}", {}],
  ["null_value", "NULL_VALUE", 0],
];

const refused: readonly [field: string, texts: readonly string[]][] = [
  ["bool_value", ["", "t", "yes", "2", "truee", " true", "on"]],
  ["int32_value", [...notDecimal, "2147483648", "-2147483649", "9".repeat(4000)]],
  ["uint32_value", [...notDecimal, "-1", "-0.5", "4294967296"]],
  ["int64_value", [...notDecimal, "9223372036854775808", "-9223372036854775809", "9".repeat(4000)]],
  ["uint64_value", [...notDecimal, "-1", "18446744073709551616"]],
  ["long_as_text", [...notDecimal, "9223372036854775808"]],
  [
    "double_value",
    ["", "1e400", "-1e400", "+1", ".5", "5.", "0x1p3", "infinity", "inf", "nan", " 1", "1,5", "01.5"],
  ],
  ["float_value", ["", "3.5e38", "1e39", "abc"]],
  ["bytes_value", ["A", "AAAAA", "A===", "AA=", "!!!!", "AA AA", "=", "AA=A"]],
  ["kind", ["", "kind_small", "SMALL", "NOPE", "2147483648", "1.0", "__proto__", "toString"]],
  [
    "timestamp",
    [
      "",
      "2020-01-01",
      "2020-02-30T00:00:00Z",
      "2020-01-01T00:00:00.1234567890Z",
      "0",
      "2020-01-01T24:00:00Z",
    ],
  ],
  ["duration", ["", "1", "1m", "1.5", "s", "1.s", "1.0000000001s", "999999999999s"]],
  ["field_mask", ["a,,b", ",", "a b", "a.", ".a", "a-b", "9a"]],
  ["struct", ["", "[]", "1", "null", '{"a":1,"a":2}', '{"a":"\\ud800"}', "{} x"]],
  ["json_value", ["", "text", "{", "1e999"]],
  ["list_value", ["", "{}", "1,2"]],
  ["int64_wrapper", ["", "1.5", "9223372036854775808"]],
];

suite("values as text (transcoding B7)", () => {
  for (const [name, text, value] of accepted) {
    test(`${name} takes ${JSON.stringify(text)}`, () => assert.deepEqual(parse(name, text), value));
  }
  for (const [name, texts] of refused) {
    for (const text of texts) {
      test(`T04: ${name} refuses ${JSON.stringify(text.slice(0, 40))}`, () =>
        assert.equal(parse(name, text), undefined));
    }
  }
  for (const text of ['{"a":1}', "[1,true]", '"x"', "12.5", "true", "null"]) {
    test(`json_value takes ${text} as JSON`, () => {
      const value = parse("json_value", text);
      assert.deepEqual(toJson(ValueSchema, value as never), JSON.parse(text) as JsonValue); // The field's own type.
    });
  }
  test("list_value takes a JSON array", () => {
    assert.deepEqual(toJson(ListValueSchema, parse("list_value", '[1,"a",[]]') as never), [1, "a", []]);
  });
  test("messages without a form as text have no parser", () => {
    for (const name of ["child", "child_list", "child_map", "any", "empty"]) {
      assert.equal(textParser(fieldOf(name)), undefined, name);
    }
  });
  test("closed enums refuse numbers they do not know", () => {
    const parser = textParser(fieldOf("type", FieldDescriptorProtoSchema));
    assert.equal(parser?.parse("3"), 3);
    assert.equal(parser?.parse("TYPE_INT64"), 3);
    assert.equal(parser?.parse("99"), undefined);
  });
  test("T12: JSON text of a Struct keeps __proto__ as a key of its own", () => {
    const value = parse("struct", '{"__proto__":{"polluted":1}}') as object; // A Struct field holds an object.
    assert.ok(Object.hasOwn(value, "__proto__"));
    assert.equal((value as { polluted?: unknown }).polluted, undefined);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });
  test("JSON text has a limit of depth", () => {
    assert.equal(parse("json_value", "[".repeat(5000) + "]".repeat(5000)), undefined);
  });
});

suite("values printed and read back", () => {
  const roundTrip = (
    type: ScalarType,
    values: fc.Arbitrary<unknown>,
    print: (value: never) => string,
  ): void => {
    test(`every ${ScalarType[type]}`, () => {
      const parser = scalarParser(type);
      fc.assert(fc.property(values, (value) => assert.deepEqual(parser.parse(print(value as never)), value)));
    });
  };
  const int32 = fc.integer();
  const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const int64 = fc.bigInt(int64Limits);
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  for (const type of [ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32])
    roundTrip(type, int32, String);
  for (const type of [ScalarType.UINT32, ScalarType.FIXED32]) roundTrip(type, uint32, String);
  for (const type of [ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64])
    roundTrip(type, int64, String);
  for (const type of [ScalarType.UINT64, ScalarType.FIXED64]) roundTrip(type, uint64, String);
  const printNumber = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
  roundTrip(ScalarType.DOUBLE, fc.double(), printNumber);
  roundTrip(ScalarType.FLOAT, fc.float(), printNumber);
  roundTrip(ScalarType.BOOL, fc.boolean(), String);
  roundTrip(ScalarType.STRING, fc.string({ unit: codePoint }), (value: string) => value);
  const bytes = fc.uint8Array().map((value) => new Uint8Array(value));
  roundTrip(ScalarType.BYTES, bytes, (value: Uint8Array) => Buffer.from(value).toString("base64"));
  roundTrip(ScalarType.BYTES, bytes, (value: Uint8Array) => Buffer.from(value).toString("base64url"));
});
