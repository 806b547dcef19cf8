import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import {
  create,
  createRegistry,
  type DescMessage,
  fromBinary,
  getExtension,
  isMessage,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack, AnySchema, StructSchema, TimestampSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  extension_int32,
  file_google_protobuf_test_messages_edition2023,
  TestAllTypesEdition2023Schema,
} from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  file_google_protobuf_test_messages_proto3,
  type TestAllTypesProto3,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { decodeUtf8, jsonReader, type JsonReadOptions } from "../../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../../src/core/codec/json-to-binary.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { threadMs } from "../../support/thread-time.ts";

const registry = createRegistry(
  file_google_protobuf_test_messages_proto3,
  file_google_protobuf_test_messages_edition2023,
  AnySchema,
  TimestampSchema,
  StructSchema,
  ValueSchema,
);

function read(text: string, options?: Partial<JsonReadOptions>): TestAllTypesProto3 {
  const message = everyWay(AllTypes, text, { registry, ...options });
  assert.ok(isMessage(message, AllTypes));
  return message;
}

/** The message that a text stands for, after checking that its bytes give the same one, or the same refusal. */
function everyWay(schema: DescMessage, text: string, options?: Partial<JsonReadOptions>): Message {
  const read = outcomeOf(() => jsonReader(schema, options).read(text));
  // Bytes have no lone surrogates, and their byte order mark is no part of the text.
  if (text.isWellFormed() && !text.startsWith("\ufeff")) {
    const silent = { ...options, onUnknownField: undefined };
    const json = Buffer.from(text);
    const decoded = (bytes: Uint8Array): Message => fromBinary(schema, Uint8Array.from(bytes));
    const fromBytes = outcomeOf(() => jsonReader(schema, silent).readBytes(json));
    const converted = outcomeOf(() => decoded(jsonToBinary(schema, silent).convert(json)));
    const encoded = "message" in read ? outcomeOf(() => decoded(toBinary(schema, read.message))) : read;
    // Differences of such large messages take minutes to print.
    assert.ok(isDeepStrictEqual(fromBytes, read), `from bytes: ${text}`);
    assert.ok(isDeepStrictEqual(converted, encoded), `to protobuf bytes: ${text}`);
  }
  if ("message" in read) return read.message;
  throw read.reason;
}

function outcomeOf(act: () => Message): { message: Message } | { reason: unknown } {
  try {
    return { message: act() };
  } catch (reason) {
    return { reason };
  }
}

/** The fields that the error of `act` names, after checking that it is INVALID_ARGUMENT and speaks of `problem`. */
function refused(act: () => unknown, problem: RegExp | string = ""): string[] {
  let error: unknown;
  try {
    act();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof ConnectError, "it was not refused");
  assert.equal(error.code, Code.InvalidArgument, String(error.stack));
  assert.match(error.rawMessage, new RegExp(problem));
  return error
    .findDetails(BadRequestSchema)
    .flatMap((detail) => detail.fieldViolations.map(({ field }) => field));
}

/** One row of a table: a text, the field that is named, and words that the message has. */
type Refusal = readonly [text: string, field: string, problem: RegExp | string];

function refuses(rows: readonly Refusal[]): void {
  for (const [text, field, problem] of rows) {
    assert.deepEqual(
      refused(() => read(text), problem),
      [field],
      text,
    );
  }
}

test("T02: what is no JSON object, or has something behind it, is refused with its place", () => {
  refuses([
    ["{", "", "line 1, column 2"],
    ["{} x", "", "column 4: expected the end of the text, found x"],
    ["{}{}", "", "expected the end"],
    ["[]", "", "expected an object, found an array"],
    ["null", "", "expected an object, found null"],
    ['"text"', "", 'expected an object, found "text"'],
    ["{,}", "", "expected a member name"],
    ['{"optionalInt32":1,}', "optional_int32", "expected a member name"],
    ['{"optionalInt32" 1}', "", "expected ':', found 1"],
    ['{"optionalInt32":}', "optional_int32", "found }"],
    ["{'optionalInt32':1}", "", "expected a member name in double quotes"],
    ["{optionalInt32:1}", "", "found optionalInt32"],
    ['{\n  "repeatedInt32": [1,\n  2,]}', "repeated_int32[2]", "found ]"],
    [
      '{\n  "repeatedInt32": [1\n  2]}',
      "repeated_int32[0]",
      "line 3, column 3: expected ',' or ']', found 2",
    ],
    ['{"repeatedInt32":[1', "repeated_int32[0]", "found the end of the text"],
    ['{"optionalString":"abc', "optional_string", "found the end"],
    ['{"optionalString":"a\tb"}', "optional_string", "control character"],
    ['{"optionalString":"\\x"}', "optional_string", "bad escape"],
    ['{"optionalString":"\\u12g4"}', "optional_string", "bad escape"],
    ['{"optionalBool":truely}', "optional_bool", "found ly"],
    ['{"optionalDouble":1.}', "optional_double", ""],
    ['{"optionalDouble":.5}', "optional_double", "found .5"],
    ['{"optionalDouble":01}', "optional_double", "malformed number"],
    ['{"optionalDouble":1e}', "optional_double", ""],
    ['{"optionalInt32":-}', "optional_int32", ""],
    ['{"unknown":[1,}', "unknown[1]", ""],
    ['{"unknown":{"a":tru}}', "unknown.a", ""],
    ['{"unknown":"\\q"}', "unknown", "bad escape"],
    ['{"unknown":01}', "unknown", "malformed number"],
    ["\ufeff{}", "", "expected an object"],
  ]);
});

test("white space of all four kinds may stand anywhere between tokens", () => {
  const message = read(
    ' \n\t\r{ "repeatedInt32" : [ 1 , 2 ] , "mapInt32Int32" : { "1" : 2 } , "optionalInt32" :\n3 } ',
  );
  assert.deepEqual(message.repeatedInt32, [1, 2]);
  assert.deepEqual(message.mapInt32Int32, { 1: 2 });
  assert.equal(message.optionalInt32, 3);
  assert.deepEqual(read("{ }"), create(AllTypes));
});

test("T04: values of a wrong type or range are refused with the proto path of their field", () => {
  refuses([
    ['{"optionalString":1}', "optional_string", "expected a string, found 1"],
    ['{"optionalString":{"a":1}}', "optional_string", "found an object"],
    ['{"optionalBool":"true"}', "optional_bool", 'found "true"'],
    ['{"optionalBool":0}', "optional_bool", "expected true or false"],
    ['{"optionalInt32":1.5}', "optional_int32", "from -2147483648 to 2147483647, found 1.5"],
    ['{"optionalInt32":2147483648}', "optional_int32", "found 2147483648"],
    ['{"optionalInt32":-2147483649}', "optional_int32", ""],
    ['{"optionalInt32":"1 "}', "optional_int32", ""],
    ['{"optionalInt32":" 1"}', "optional_int32", ""],
    ['{"optionalInt32":"0x10"}', "optional_int32", ""],
    ['{"optionalInt32":"+5"}', "optional_int32", ""],
    ['{"optionalInt32":"05"}', "optional_int32", ""],
    ['{"optionalInt32":""}', "optional_int32", ""],
    ['{"optionalInt32":true}', "optional_int32", "found true"],
    ['{"optionalUint32":-1}', "optional_uint32", "from 0 to 4294967295"],
    ['{"optionalUint32":4294967296}', "optional_uint32", ""],
    [
      '{"optionalInt64":9223372036854775808}',
      "optional_int64",
      "9223372036854775807, found 9223372036854775808",
    ],
    ['{"optionalInt64":"-9223372036854775809"}', "optional_int64", ""],
    ['{"optionalInt64":1e-1}', "optional_int64", ""],
    ['{"optionalInt64":1e999999999}', "optional_int64", ""],
    ['{"optionalUint64":-1}', "optional_uint64", ""],
    ['{"optionalUint64":"18446744073709551616"}', "optional_uint64", ""],
    ['{"optionalFloat":3.5e38}', "optional_float", "range of a float"],
    ['{"optionalFloat":1e400}', "optional_float", "range of a double"],
    ['{"optionalDouble":-1.8e308}', "optional_double", "range of a double"],
    ['{"optionalDouble":"1.8e308"}', "optional_double", ""],
    ['{"optionalDouble":NaN}', "optional_double", "found NaN"],
    ['{"optionalDouble":"inf"}', "optional_double", 'found "inf"'],
    ['{"optionalDouble":""}', "optional_double", ""],
    ['{"optionalBytes":"a"}', "optional_bytes", "base64"],
    ['{"optionalBytes":"aa=a"}', "optional_bytes", ""],
    ['{"optionalBytes":"aaa=="}', "optional_bytes", ""],
    ['{"optionalBytes":"a==="}', "optional_bytes", ""],
    ['{"optionalBytes":"a b="}', "optional_bytes", ""],
    ['{"optionalBytes":"\u0161bcd"}', "optional_bytes", ""],
    ['{"optionalBytes":[1]}', "optional_bytes", "found an array"],
    ['{"optionalNestedEnum":"NOPE"}', "optional_nested_enum", 'one of FOO, BAR, BAZ, NEG, found "NOPE"'],
    ['{"optionalNestedEnum":"foo"}', "optional_nested_enum", ""],
    ['{"optionalNestedEnum":"1"}', "optional_nested_enum", ""],
    ['{"optionalNestedEnum":1.5}', "optional_nested_enum", ""],
    ['{"optionalNestedEnum":2147483648}', "optional_nested_enum", ""],
    ['{"optionalNestedMessage":[]}', "optional_nested_message", "expected an object, found an array"],
    [
      '{"optionalNestedMessage":{"corecursive":{"optionalInt32":"x"}}}',
      "optional_nested_message.corecursive.optional_int32",
      "",
    ],
    ['{"repeatedInt32":{}}', "repeated_int32", "expected an array"],
    ['{"repeatedInt32":[0,1,"x"]}', "repeated_int32[2]", ""],
    ['{"repeatedInt32":[null]}', "repeated_int32[0]", "found null"],
    ['{"repeatedNestedMessage":[{},{"a":true}]}', "repeated_nested_message[1].a", ""],
    ['{"repeatedNestedMessage":[null]}', "repeated_nested_message[0]", "found null"],
    ['{"repeatedNestedEnum":["FOO","NOPE"]}', "repeated_nested_enum[1]", ""],
    ['{"mapStringString":[]}', "map_string_string", "expected an object"],
    ['{"mapStringString":{"a b":1}}', 'map_string_string["a b"]', ""],
    ['{"mapStringString":{"":1}}', 'map_string_string[""]', ""],
    ['{"mapStringString":{"a":null}}', 'map_string_string["a"]', ""],
    ['{"mapInt32Int32":{"x":1}}', 'map_int32_int32["x"]', "a key that is an integer"],
    ['{"mapInt32Int32":{"2147483648":1}}', 'map_int32_int32["2147483648"]', ""],
    ['{"mapBoolBool":{"yes":true}}', 'map_bool_bool["yes"]', "true or false"],
    ['{"mapStringNestedMessage":{"k":{"a":"x"}}}', 'map_string_nested_message["k"].a', ""],
  ]);
});

test("T04: an enum name that is unknown is refused even where unknown fields are ignored", () => {
  for (const unknownFields of ["ignore", "reject"] as const) {
    const text = '{"optionalNestedEnum":"NOPE"}';
    assert.deepEqual(
      refused(() => read(text, { unknownFields })),
      ["optional_nested_enum"],
    );
  }
});

test("enum values are read by name, alias and number; closed enums take declared numbers only", () => {
  assert.equal(read('{"optionalNestedEnum":"NEG"}').optionalNestedEnum, -1);
  assert.equal(read('{"optionalAliasedEnum":"bAz"}').optionalAliasedEnum, 2);
  assert.equal(read('{"optionalNestedEnum":2.0}').optionalNestedEnum, 2);
  assert.equal(read('{"optionalNestedEnum":77}').optionalNestedEnum, 77);
});

test("T04: an error repeats at most a piece of what it refuses", () => {
  const long = "x".repeat(100_000);
  for (const text of [
    `{"optionalInt32":"${long}"}`,
    `{"optionalNestedEnum":"${long}"}`,
    `{"mapInt32Int32":{"${long}":1}}`,
  ]) {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof ConnectError && error.message.length < 300,
    );
  }
});

test("T06: a name stands once, whatever its spelling", () => {
  refuses([
    ['{"optionalInt32":1,"optionalInt32":1}', "optional_int32", "twice"],
    ['{"optionalInt32":1,"optional_int32":1}', "optional_int32", "twice"],
    ['{"optionalInt32":null,"optional_int32":1}', "optional_int32", "twice"],
    ['{"optionalInt32":1,"optional\\u0049nt32":1}', "optional_int32", "twice"],
    ['{"mapInt32Int32":{},"fieldName7":1,"mapInt32Int32":{}}', "map_int32_int32", "twice"],
    ['{"optionalNestedMessage":{"a":1,"a":1}}', "optional_nested_message.a", "twice"],
    ['{"mapStringString":{"a":"","\\u0061":""}}', 'map_string_string["a"]', "twice"],
    ['{"mapInt32Int32":{"1":1,"1.0":1}}', 'map_int32_int32["1.0"]', "twice"],
    ['{"optionalStruct":{"a":1,"a":1}}', 'optional_struct["a"]', "twice"],
    ['{"optionalValue":{"a":1,"a":1}}', 'optional_value["a"]', "twice"],
    ['{"unknown":1,"unknown":1}', "unknown", "twice"],
    ['{"unknown":{"a":1,"a":1}}', "unknown.a", "twice"],
  ]);
});

test("two members of one oneof are refused, null leaves a member unset", () => {
  refuses([
    [
      '{"oneofUint32":1,"oneofString":"a"}',
      "oneof_string",
      "another member of the oneof is set: oneofUint32",
    ],
    ['{"oneofNullValue":null,"oneofString":"a"}', "oneof_string", "another member"],
  ]);
  assert.deepEqual(read('{"oneofUint32":null,"oneofString":"a"}').oneofField, {
    case: "oneofString",
    value: "a",
  });
  assert.deepEqual(read('{"oneofString":"a","oneofUint32":null}').oneofField, {
    case: "oneofString",
    value: "a",
  });
  assert.deepEqual(read('{"oneofNullValue":null}').oneofField, { case: "oneofNullValue", value: 0 });
});

test("T07: integers are exact in every spelling that stands for one", () => {
  const rows: readonly [string, bigint][] = [
    ["9007199254740993", 9007199254740993n],
    ['"9007199254740993"', 9007199254740993n],
    ["9223372036854775807", 2n ** 63n - 1n],
    ["-9223372036854775808", -(2n ** 63n)],
    ["1e3", 1000n],
    ['"1e3"', 1000n],
    ["1.0", 1n],
    ["1200e-2", 12n],
    ["0.00012e5", 12n],
    ["9.007199254740993e15", 9007199254740993n],
    ["-0", 0n],
    ["0e99999", 0n],
  ];
  for (const [text, value] of rows) {
    assert.equal(read(`{"optionalInt64":${text}}`).optionalInt64, value, text);
    assert.deepEqual(read(`{"repeatedInt64":[${text}]}`).repeatedInt64, [value], text);
  }
  assert.equal(read('{"optionalUint64":18446744073709551615}').optionalUint64, 2n ** 64n - 1n);
  assert.equal(read('{"optionalInt32":"1e2"}').optionalInt32, 100);
  assert.ok(Object.is(read('{"optionalInt32":-0}').optionalInt32, 0));
});

test("doubles and floats are read as the nearest value, with NaN and the infinities as strings", () => {
  const doubles = [
    "0.1",
    "-0",
    "1e-7",
    "5e-324",
    "1.7976931348623157e308",
    "0.30000000000000004",
    "123456789012345678",
  ];
  for (const text of [...doubles, "2.2250738585072011e-308", "1.25", "100", "1E+2", "0.000001"]) {
    assert.ok(Object.is(read(`{"optionalDouble":${text}}`).optionalDouble, Number(text)), text);
    assert.ok(Object.is(read(`{"optionalDouble":"${text}"}`).optionalDouble, Number(text)), text);
  }
  assert.equal(read('{"optionalFloat":0.1}').optionalFloat, Math.fround(0.1));
  assert.equal(read('{"optionalFloat":3.4028235e38}').optionalFloat, 3.4028234663852886e38);
  assert.deepEqual(read('{"repeatedFloat":["NaN","Infinity","-Infinity"]}').repeatedFloat, [
    NaN,
    Infinity,
    -Infinity,
  ]);
});

test("bytes are read from both alphabets, padded or not", () => {
  for (const text of ["-_-_", "+/+/"]) {
    assert.deepEqual(read(`{"optionalBytes":"${text}"}`).optionalBytes, new Uint8Array([251, 255, 191]));
  }
  for (const text of ["AQI=", "AQI"]) {
    assert.deepEqual(read(`{"optionalBytes":"${text}"}`).optionalBytes, new Uint8Array([1, 2]));
  }
  assert.deepEqual(read('{"optionalBytes":"AQ=="}').optionalBytes, new Uint8Array([1]));
  assert.deepEqual(read('{"optionalBytes":""}').optionalBytes, new Uint8Array(0));
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 31) & 0xff);
  const text = Buffer.from(bytes).toString("base64");
  assert.deepEqual(read(`{"optionalBytes":"${text}"}`).optionalBytes, bytes);
});

test("T08, T10: invalid UTF-8 is refused, a byte order mark is skipped", () => {
  assert.equal(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d])), "{}");
  assert.equal(decodeUtf8(Buffer.from('{"a":"\u{1f600}é"}')), '{"a":"\u{1f600}é"}');
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0xc0, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xe2, 0x82],
  ]) {
    refused(() => decodeUtf8(new Uint8Array(bytes)), "UTF-8");
  }
});

test("T09: lone surrogates are refused in values, keys and skipped members", () => {
  refuses([
    ['{"optionalString":"\\ud800"}', "optional_string", "lone surrogate"],
    ['{"optionalString":"\\udc00\\ud800"}', "optional_string", "lone surrogate"],
    ['{"optionalString":"\ud800"}', "optional_string", "lone surrogate"],
    ['{"unknown":"\\ud800"}', "unknown", "lone surrogate"],
  ]);
  refused(() => read('{"mapStringString":{"\\ud800":""}}'), "lone surrogate");
  assert.equal(
    read('{"optionalString":"\\ud83d\\ude00\u{1f600}\\n\\/\\""}').optionalString,
    '\u{1f600}\u{1f600}\n/"',
  );
});

test("strings of large texts do not depend on the text", () => {
  const value = "a string that is longer than a dozen characters é";
  const message = read(
    `{"repeatedString":[${Array.from({ length: 3_000 }, () => JSON.stringify(value)).join(",")}]}`,
  );
  assert.equal(message.repeatedString.length, 3_000);
  assert.ok(message.repeatedString.every((text) => text === value));
});

test("T12: __proto__ is a key like any other and reaches no prototype", () => {
  const message = read(
    '{"mapStringString":{"__proto__":"x","constructor":"y"},"optionalStruct":{"__proto__":{"polluted":1}}}',
  );
  assert.deepEqual(Object.entries(message.mapStringString), [
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
  assert.equal(Object.getPrototypeOf(message.mapStringString), Object.prototype);
  assert.deepEqual(Object.keys(message.optionalStruct ?? {}), ["__proto__"]);
  const fields = read('{"optionalValue":{"__proto__":1}}').optionalValue?.kind;
  assert.ok(fields?.case === "structValue" && Object.hasOwn(fields.value.fields, "__proto__"));
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  const text = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  assert.deepEqual(
    refused(() => read(text, { unknownFields: "reject" })),
    ["__proto__", "constructor"],
  );
  assert.deepEqual(read(text), create(AllTypes));
});

test("unknown members are skipped and reported, or all refused by name", () => {
  const text =
    '{"nope":1,"optionalNestedMessage":{"b":[{"c":null}]},"repeatedNestedMessage":[{},{"x y":"\\n"}],"optionalInt32":7}';
  const paths: string[] = [];
  assert.equal(read(text, { onUnknownField: (path) => paths.push(path) }).optionalInt32, 7);
  const expected = ["nope", "optional_nested_message.b", "repeated_nested_message[1].x y"];
  assert.deepEqual(paths, expected);
  assert.deepEqual(
    refused(() => read(text, { unknownFields: "reject" }), "unknown field nope and 2 more"),
    expected,
  );
  assert.deepEqual(
    refused(() => read('{"nope":1,"optionalInt32":""}', { unknownFields: "reject" })),
    ["optional_int32", "nope"],
  );
});

test("the names of ten thousand unknown members do not fill the error", () => {
  const text = `{${Array.from({ length: 10_000 }, (_, i) => `"x${i}":1`).join(",")}}`;
  assert.equal(
    refused(() => read(text, { unknownFields: "reject" }), "unknown field x0 and 9999 more").length,
    100,
  );
});

test("nesting is limited for known, unknown and free-form values alike", () => {
  const nested = (open: string, close: string, depth: number): string =>
    open.repeat(depth) + close.repeat(depth);
  const recursive = (depth: number): string =>
    `${'{"recursiveMessage":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`;
  read(recursive(100));
  refused(() => read(recursive(101)), "deeper than 100 levels");
  read(`{"optionalValue":${nested("[", "]", 99)}}`);
  refused(() => read(`{"optionalValue":${nested("[", "]", 100)}}`), "deeper than 100");
  refused(() => read(`{"optionalStruct":{"a":${nested("[", "]", 100_000)}}}`), "deeper than 100");
  refused(() => read(`{"unknown":${nested("[", "]", 100_000)}}`), "deeper than 100");
  assert.equal(
    read(recursive(3), { maxDepth: 3 }).recursiveMessage?.recursiveMessage?.$typeName,
    AllTypes.typeName,
  );
  refused(() => read(recursive(4), { maxDepth: 3 }), "deeper than 3");
});

test("T19: a hundred thousand keys that look like array indexes take no second", () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `"${(i * 40_503) % 4_000_000_000}":"v"`);
  const unknown = Array.from({ length: 100_000 }, (_, i) => `"${i}":{"a":0}`);
  const known = `{"mapStringString":{${keys.join(",")}}}`;
  const start = threadMs();
  const message = jsonReader(AllTypes).read(known);
  jsonReader(AllTypes, { maxEntries: 0, onUnknownField: () => {} }).read(`{${unknown.join(",")}}`);
  assert.ok(threadMs() - start < 3_000);
  const startBytes = threadMs();
  jsonToBinary(AllTypes).convert(Buffer.from(known));
  assert.ok(threadMs() - startBytes < 3_000);
  assert.ok(isMessage(message, AllTypes));
  assert.equal(Object.keys(message.mapStringString).length, 100_000);
});

test("long rows of digits and zeros take linear time", () => {
  const start = threadMs();
  const zeros = "0".repeat(1_000_000);
  for (const number of [`1${zeros}1`, `1.${zeros}1`, `1${zeros}e-1000000`]) {
    try {
      read(`{"optionalInt64":${number}}`);
    } catch (error) {
      assert.ok(error instanceof ConnectError);
    }
  }
  assert.ok(threadMs() - start < 3_000);
});

test("null leaves fields unset, and is a value of Value and NullValue", () => {
  const names = AllTypes.fields.map((field) => field.jsonName);
  const others = names.filter((name) => name !== "optionalValue" && name !== "oneofNullValue");
  assert.deepEqual(read(`{${others.map((name) => `"${name}":null`).join(",")}}`), create(AllTypes));
  assert.deepEqual(read('{"optionalValue":null}').optionalValue?.kind, { case: "nullValue", value: 0 });
  assert.deepEqual(read('{"repeatedValue":[null]}').repeatedValue[0]?.kind, { case: "nullValue", value: 0 });
  assert.equal(read('{"optionalNullValue":"NULL_VALUE"}').optionalNullValue, 0);
});

test("well-known types are read in their own forms", () => {
  const message = read(
    '{"optionalTimestamp":"2000-02-29T23:59:59.5+01:30","optionalDuration":"-1.000000001s","optionalFieldMask":"fooBar,a.bC",' +
      '"optionalStruct":{"a":[1,null,{"b":"c"}]},"optionalInt64Wrapper":"5","repeatedStringWrapper":["x"],"optionalBytesWrapper":"AQ"}',
  );
  assert.deepEqual(
    message.optionalTimestamp,
    create(TimestampSchema, { seconds: 951_863_399n, nanos: 500_000_000 }),
  );
  assert.equal(message.optionalDuration?.seconds, -1n);
  assert.equal(message.optionalDuration.nanos, -1);
  assert.deepEqual(message.optionalFieldMask?.paths, ["foo_bar", "a.b_c"]);
  assert.deepEqual(message.optionalStruct, { a: [1, null, { b: "c" }] });
  assert.equal(message.optionalInt64Wrapper, 5n);
  assert.equal(message.repeatedStringWrapper[0]?.value, "x");
  assert.deepEqual(message.optionalBytesWrapper, new Uint8Array([1]));
  refuses([
    ['{"optionalTimestamp":"2000-02-30T00:00:00Z"}', "optional_timestamp", "RFC 3339"],
    ['{"optionalTimestamp":5}', "optional_timestamp", "found 5"],
    ['{"optionalDuration":"1m"}', "optional_duration", "a duration in seconds"],
    ['{"optionalFieldMask":"foo_bar"}', "optional_field_mask", "lowerCamelCase"],
    ['{"optionalStruct":[]}', "optional_struct", "expected an object"],
    ['{"optionalStruct":{"a":[0,1e999]}}', 'optional_struct["a"][1]', "range of a double"],
    ['{"repeatedListValue":[{}]}', "repeated_list_value[0]", "expected an array"],
    ['{"optionalInt32Wrapper":"x"}', "optional_int32_wrapper", ""],
    ['{"repeatedInt32Wrapper":[null]}', "repeated_int32_wrapper[0]", "found null"],
  ]);
});

test("T13: Any is read by its type, wherever @type stands", () => {
  const typed = (text: string): Message | undefined => {
    const any = read(`{"optionalAny":${text}}`).optionalAny;
    return any && anyUnpack(any, registry);
  };
  const url = `type.googleapis.com/${AllTypes.typeName}`;
  for (const text of [`{"@type":"${url}","optionalInt32":5}`, `{"optionalInt32":5,"@type":"${url}"}`]) {
    assert.deepEqual(typed(text), create(AllTypes, { optionalInt32: 5 }));
  }
  assert.deepEqual(
    typed('{"value":"1970-01-01T00:00:07Z","@type":"type.googleapis.com/google.protobuf.Timestamp"}'),
    create(TimestampSchema, { seconds: 7n }),
  );
  assert.deepEqual(read('{"optionalAny":{}}').optionalAny, create(AnySchema));
  assert.equal(
    read(`{"optionalAny":{"@type":"example.com/x/${AllTypes.typeName}"}}`).optionalAny?.typeUrl,
    `example.com/x/${AllTypes.typeName}`,
  );
  refuses([
    ['{"optionalAny":{"@type":"type.googleapis.com/no.Such"}}', "optional_any", 'no.Such" is not known'],
    [`{"optionalAny":{"@type":"${AllTypes.typeName}"}}`, "optional_any", "is not known"],
    ['{"optionalAny":{"@type":""}}', "optional_any", "is not known"],
    ['{"optionalAny":{"@type":5}}', "optional_any", '"@type"'],
    ['{"optionalAny":{"a":5}}', "optional_any", '"@type"'],
    [`{"optionalAny":{"@type":"${url}","optionalInt32":"x"}}`, "optional_any.optional_int32", ""],
    [`{"optionalAny":{"@type":"${url}","@type":"${url}"}}`, "optional_any.@type", "twice"],
    ['{"optionalAny":{"@type":"type.googleapis.com/google.protobuf.Timestamp"}}', "optional_any", '"value"'],
    ['{"optionalAny":[]}', "optional_any", "found an array"],
    [
      '{"optionalAny":{"@type":"x.y/google.protobuf.Duration","value":"1s","value":"1s"}}',
      "optional_any.value",
      "twice",
    ],
    [
      '{"optionalAny":{"@type":"x.y/google.protobuf.Any","value":{"@type":"x.y/google.protobuf.Timestamp","value":1,"value":1}}}',
      "optional_any.value.value",
      "twice",
    ],
  ]);
  assert.deepEqual(
    refused(() => read(`{"optionalAny":{"@type":"${url}","nope":1}}`, { unknownFields: "reject" })),
    ["optional_any.nope"],
  );
  assert.deepEqual(
    refused(() => read(`{"optionalAny":{"@type":"${url}"}}`, { registry: undefined })),
    ["optional_any"],
  );
});

test("T13: an Any nested a thousand deep fails fast, and one nested ninety deep is read in one pass", () => {
  const nested = (depth: number, inner: string): string =>
    '{"value":'.repeat(depth) + inner + ',"@type":"type.googleapis.com/google.protobuf.Any"}'.repeat(depth);
  const start = threadMs();
  refused(() => read(`{"optionalAny":${nested(1_000, "{}")}}`), "deeper than 100");
  assert.ok(threadMs() - start < 500);
  const payload = `{"zeros":[${"0,".repeat(600_000)}0],"@type":"type.googleapis.com/google.protobuf.Struct","value":{}}`;
  let any = read(`{"optionalAny":${nested(90, payload)}}`).optionalAny;
  for (let i = 0; i < 90; i++) any = any && fromBinary(AnySchema, any.value);
  assert.equal(any?.typeUrl, "type.googleapis.com/google.protobuf.Struct");
  assert.ok(threadMs() - start < 3_000);
});

test("extensions are read by their full name from the registry, others are unknown", () => {
  const reader = jsonReader(TestAllTypesEdition2023Schema, { registry, unknownFields: "reject" });
  const name = `[${extension_int32.typeName}]`;
  const message = reader.read(`{"${name}":5}`) as MessageShape<typeof TestAllTypesEdition2023Schema>;
  assert.equal(getExtension(message, extension_int32), 5);
  assert.deepEqual(
    refused(() => reader.read(`{"${name}":"x"}`)),
    [name],
  );
  assert.deepEqual(
    refused(() => reader.read('{"[no.such]":5}')),
    ["[no.such]"],
  );
  assert.equal(refused(() => read(`{"${name}":5}`, { unknownFields: "reject" }), "unknown field").length, 1);
});

test("groups and fields with presence of editions are read", () => {
  const reader = jsonReader(TestAllTypesEdition2023Schema);
  const message = reader.read('{"groupliketype":{"groupInt32":3},"optionalInt32":0}');
  assert.ok(isMessage(message, TestAllTypesEdition2023Schema));
  assert.equal(message.groupliketype?.groupInt32, 3);
  assert.ok(Object.hasOwn(message, "optionalInt32"));
  assert.ok(!Object.hasOwn(message, "optionalInt64"));
});

test("readField reads the value of one field of every kind", () => {
  const reader = jsonReader(AllTypes, { registry });
  const into = create(AllTypes, { optionalInt32: 9, repeatedInt32: [1], optionalDuration: { seconds: 1n } });
  const set = (name: keyof typeof AllTypes.field, text: string): TestAllTypesProto3 => {
    const field = AllTypes.field[name];
    assert.ok(field !== undefined, name);
    reader.readField(field, text, into);
    return into;
  };
  assert.equal(set("optionalString", ' "x" ').optionalString, "x");
  assert.deepEqual(set("repeatedInt32", "[2,3]").repeatedInt32, [2, 3]);
  assert.deepEqual(set("mapStringString", '{"a":"b"}').mapStringString, { a: "b" });
  assert.deepEqual(set("optionalNestedMessage", "{}").optionalNestedMessage?.a, 0);
  assert.deepEqual(set("oneofString", '"y"').oneofField, { case: "oneofString", value: "y" });
  assert.deepEqual(set("oneofString", "null").oneofField, { case: undefined });
  assert.equal(set("optionalInt32", "null").optionalInt32, 0);
  assert.deepEqual(set("repeatedInt32", "null").repeatedInt32, []);
  assert.equal(set("optionalDuration", "null").optionalDuration, undefined);
  assert.deepEqual(set("optionalValue", "null").optionalValue?.kind, { case: "nullValue", value: 0 });
  assert.deepEqual(
    refused(() => set("optionalString", "5")),
    ["optional_string"],
  );
  assert.deepEqual(
    refused(() => set("repeatedNestedMessage", '[{"a":1},{"a":"x"}]')),
    ["repeated_nested_message[1].a"],
  );
  refused(() => set("optionalInt32", "1 2"), "expected the end of the text");
  refused(() => set("optionalInt32", ""), "found the end of the text");
  assert.equal(into.optionalString, "x");
});

test("a reader adapts to the order of members without depending on it", () => {
  const texts = [
    '{"optionalInt32":1,"optionalString":"a"}',
    '{"optionalString":"a","optionalInt32":1}',
    '{ "optional_string" : "a" , "optionalInt32":1}',
  ];
  for (let i = 0; i < 10; i++) {
    for (const text of texts)
      assert.deepEqual(read(text), create(AllTypes, { optionalInt32: 1, optionalString: "a" }));
  }
});
