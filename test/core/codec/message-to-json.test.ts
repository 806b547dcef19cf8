import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  createRegistry,
  type Message,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  anyPack,
  AnySchema,
  DurationSchema,
  FieldMaskSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import {
  extension_int32,
  file_google_protobuf_test_messages_edition2023,
  TestAllTypesEdition2023Schema,
} from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3_NestedEnum as NestedEnum,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import {
  type JsonWriter,
  jsonWriter,
  type JsonWriteOptions,
} from "../../../src/core/codec/message-to-json.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";

type Init = MessageInitShape<typeof AllTypes>;

/** The text of a message with nothing but `init`, without defaults unless the options say so. */
function write(init: Init, options?: Partial<JsonWriteOptions>): string {
  return bothWays(jsonWriter(AllTypes, { defaults: "omit", ...options }), create(AllTypes, init));
}

/** The text of a message, after checking that its bytes are the same, or the same refusal. */
function bothWays(writer: JsonWriter, message: Message): string {
  const text = outcomeOf(() => writer.write(message));
  const bytes = outcomeOf(() => writer.writeBytes(message).toString());
  assert.deepEqual(bytes, text);
  if (typeof text === "string") return text;
  throw text.reason;
}

function outcomeOf(act: () => string): string | { reason: unknown } {
  try {
    return act();
  } catch (reason) {
    return { reason };
  }
}

function refused(act: () => unknown, problem: RegExp): void {
  assert.throws(act, (error: unknown) => {
    assert.ok(error instanceof ConnectError, String(error));
    assert.equal(error.code, Code.Internal);
    assert.match(error.rawMessage, problem);
    return true;
  });
}

test("scalars are printed by the proto3 JSON mapping", () => {
  const rows: readonly [Init, string][] = [
    [{}, "{}"],
    [{ optionalInt32: -5, optionalUint32: 4294967295 }, '{"optionalInt32":-5,"optionalUint32":4294967295}'],
    [
      { optionalInt64: -(2n ** 63n), optionalUint64: 2n ** 64n - 1n },
      '{"optionalInt64":"-9223372036854775808","optionalUint64":"18446744073709551615"}',
    ],
    [{ optionalDouble: 1e21, optionalFloat: 0.5 }, '{"optionalFloat":0.5,"optionalDouble":1e+21}'],
    [{ optionalDouble: -0 }, '{"optionalDouble":-0}'],
    [{ repeatedDouble: [NaN, Infinity, -Infinity] }, '{"repeatedDouble":["NaN","Infinity","-Infinity"]}'],
    [
      { repeatedFloat: [NaN, Infinity, -Infinity, -0, 0] },
      '{"repeatedFloat":["NaN","Infinity","-Infinity",-0,0]}',
    ],
    [{ optionalBool: true }, '{"optionalBool":true}'],
    [{ optionalBytes: new Uint8Array([251, 255, 191, 1]) }, '{"optionalBytes":"+/+/AQ=="}'],
    [{ repeatedBytes: [new Uint8Array(0), new Uint8Array([1, 2])] }, '{"repeatedBytes":["","AQI="]}'],
    [{ optionalNestedEnum: NestedEnum.NEG }, '{"optionalNestedEnum":"NEG"}'],
    [{ optionalNestedEnum: 77 as NestedEnum }, '{"optionalNestedEnum":77}'],
    [{ optionalAliasedEnum: 2 }, '{"optionalAliasedEnum":"ALIAS_BAZ"}'],
    [
      { mapInt64Int64: { "-1": 2n }, mapBoolBool: { true: false } },
      '{"mapInt64Int64":{"-1":"2"},"mapBoolBool":{"true":false}}',
    ],
    [{ optionalNestedMessage: {} }, '{"optionalNestedMessage":{}}'],
    [{ oneofField: { case: "oneofUint32", value: 0 } }, '{"oneofUint32":0}'],
    [{ oneofField: { case: "oneofNullValue", value: 0 } }, '{"oneofNullValue":null}'],
  ];
  for (const [init, text] of rows) assert.equal(write(init), text);
});

test("floats are the shortest decimals that read back as the same float", () => {
  const rows: readonly [number, string][] = [
    [0.1, "0.1"],
    [0.3, "0.3"],
    [1 / 3, "0.33333334"],
    [16777216, "16777216"],
    [3.4028234663852886e38, "3.4028235e+38"],
    [1e-45, "1e-45"],
    [1.17549435e-38, "1.1754944e-38"],
    [123456.7, "123456.7"],
    [1e10, "10000000000"],
    [-2.5e-7, "-2.5e-7"],
    [0.000001, "0.000001"],
  ];
  for (const [value, text] of rows) {
    assert.equal(write({ optionalFloat: Math.fround(value) }), `{"optionalFloat":${text}}`);
    assert.equal(Math.fround(Number(text)), Math.fround(value));
  }
});

test("text is escaped where JSON asks for it, and is always valid Unicode", () => {
  for (const text of [
    '"',
    "\\",
    "\n",
    "\u0000",
    "\u001f",
    "é",
    "\u2028",
    "\u{1f600}",
    "plain",
    "a longer text, plain",
    'a longer "text"',
  ]) {
    assert.equal(write({ optionalString: text }), `{"optionalString":${JSON.stringify(text)}}`);
    assert.deepEqual(JSON.parse(write({ mapStringString: { [text]: text } })), {
      mapStringString: { [text]: text },
    });
  }
  for (const text of ["\ud800", "a text of more than twelve characters \udc00"]) {
    assert.deepEqual(JSON.parse(write({ optionalString: text })), { optionalString: text.toWellFormed() });
  }
  const own = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
  assert.equal(write({ mapStringString: own }), '{"mapStringString":{"__proto__":"x"}}');
});

test("options choose names, enums, 64-bit integers and indentation", () => {
  const init: Init = {
    optionalInt64: 2n ** 53n,
    optionalUint64: 5n,
    repeatedNestedEnum: [1, 2],
    optionalString: '{"[,:]}',
  };
  assert.equal(
    write(init, { fieldNames: "proto", enums: "number", int64: "number" }),
    '{"optional_int64":9007199254740992,"optional_uint64":5,"optional_string":"{\\"[,:]}","repeated_nested_enum":[1,2]}',
  );
  assert.equal(
    write(init, { int64: "safe-number" }),
    '{"optionalInt64":"9007199254740992","optionalUint64":5,"optionalString":"{\\"[,:]}","repeatedNestedEnum":["BAR","BAZ"]}',
  );
  const messages: Init = { ...init, optionalStruct: {}, repeatedForeignMessage: [{ c: 1 }, {}] };
  assert.equal(write(messages, { indent: 3 }), JSON.stringify(JSON.parse(write(messages)), undefined, 3));
});

test("defaults are printed for fields without presence only, and only if asked for", () => {
  const text = jsonWriter(AllTypes).write(create(AllTypes));
  const printed = JSON.parse(text) as Record<string, unknown>;
  assert.equal(printed["optionalInt32"], 0);
  assert.equal(printed["optionalInt64"], "0");
  assert.equal(printed["optionalBytes"], "");
  assert.equal(printed["optionalNestedEnum"], "FOO");
  assert.deepEqual(printed["repeatedInt32"], []);
  assert.deepEqual(printed["mapInt32Int32"], {});
  assert.ok(
    !("optionalNestedMessage" in printed) &&
      !("oneofUint32" in printed) &&
      !("optionalInt32Wrapper" in printed),
  );
  const editions = jsonWriter(TestAllTypesEdition2023Schema, { defaults: "omit" });
  assert.equal(
    editions.write(create(TestAllTypesEdition2023Schema, { optionalInt32: 0 })),
    '{"optionalInt32":0}',
  );
  const all = JSON.parse(
    jsonWriter(TestAllTypesEdition2023Schema).write(create(TestAllTypesEdition2023Schema)),
  ) as object;
  assert.ok(!("optionalInt32" in all) && "repeatedInt32" in all);
});

test("well-known types are printed in their own forms", () => {
  const rows: readonly [Init, string][] = [
    [{ optionalTimestamp: { seconds: 951_863_399n, nanos: 500_000_000 } }, '"2000-02-29T22:29:59.500Z"'],
    [{ optionalDuration: { seconds: -1n, nanos: -1 } }, '"-1.000000001s"'],
    [{ optionalFieldMask: { paths: ["foo_bar", "a.b_c"] } }, '"fooBar,a.bC"'],
    [{ optionalStruct: { a: [1, null, { b: "c" }], d: true } }, '{"a":[1,null,{"b":"c"}],"d":true}'],
    [{ optionalInt64Wrapper: 5n }, '"5"'],
    [{ optionalBoolWrapper: false }, "false"],
    [{ optionalBytesWrapper: new Uint8Array([1]) }, '"AQ=="'],
    [{ optionalValue: { kind: { case: "nullValue", value: 0 } } }, "null"],
  ];
  for (const [init, text] of rows) assert.equal(write(init), `{"${Object.keys(init)[0]}":${text}}`);
  assert.equal(jsonWriter(TimestampSchema).write(create(TimestampSchema)), '"1970-01-01T00:00:00Z"');
});

test("what has no JSON form is refused with the name of its field", () => {
  const rows: readonly [Init, RegExp][] = [
    [{ optionalTimestamp: { seconds: 253_402_300_800n } }, /optional_timestamp.*years 1 to 9999/],
    [{ optionalTimestamp: { nanos: -1 } }, /optional_timestamp/],
    [{ optionalTimestamp: { nanos: 1_000_000_000 } }, /optional_timestamp/],
    [{ optionalDuration: { seconds: 315_576_000_001n } }, /optional_duration/],
    [{ optionalDuration: { seconds: 1n, nanos: -1 } }, /optional_duration.*signs/],
    [{ optionalFieldMask: { paths: ["fooBar"] } }, /optional_field_mask/],
    [{ optionalFieldMask: { paths: ["foo__bar"] } }, /optional_field_mask/],
    [{ optionalFieldMask: { paths: ["foo_3_bar"] } }, /optional_field_mask/],
    [{ optionalFieldMask: { paths: ["a,b"] } }, /optional_field_mask/],
    [{ optionalValue: {} }, /optional_value.*no value/],
    [{ optionalValue: { kind: { case: "numberValue", value: NaN } } }, /optional_value.*NaN/],
    [{ optionalStruct: { a: Infinity } }, /optional_struct.*Infinity/],
    [{ optionalInt32: 1.5 }, /optional_int32 as JSON: 1.5 is no int32/],
    [{ optionalInt32: '1,"x":2' as unknown as number }, /optional_int32 as JSON: string is no int32/],
    [{ optionalUint32: -1 }, /optional_uint32/],
    [{ optionalInt64: "1,2" as unknown as bigint }, /optional_int64/],
    [{ optionalDouble: "1" as unknown as number }, /optional_double/],
    [{ optionalString: 1 as unknown as string }, /optional_string/],
    [{ optionalBool: 1 as unknown as boolean }, /optional_bool/],
    [{ optionalNestedEnum: "FOO" as unknown as NestedEnum }, /optional_nested_enum/],
  ];
  for (const [init, problem] of rows) refused(() => write(init), problem);
});

test("Any is printed by its type, and by its bytes where the type is unknown", () => {
  const registry = createRegistry(
    ForeignMessageSchema,
    DurationSchema,
    FieldMaskSchema,
    AnySchema,
    ValueSchema,
  );
  const packed = (message: Message, schema: Parameters<typeof anyPack>[0]): string =>
    write({ optionalAny: anyPack(schema, message) }, { registry });
  const url = "type.googleapis.com/";
  const foreign = create(ForeignMessageSchema, { c: 5 });
  assert.equal(
    packed(foreign, ForeignMessageSchema),
    `{"optionalAny":{"@type":"${url}${ForeignMessageSchema.typeName}","c":5}}`,
  );
  assert.equal(
    packed(create(ForeignMessageSchema), ForeignMessageSchema),
    `{"optionalAny":{"@type":"${url}${ForeignMessageSchema.typeName}"}}`,
  );
  assert.equal(
    packed(create(DurationSchema, { seconds: 5n }), DurationSchema),
    `{"optionalAny":{"@type":"${url}google.protobuf.Duration","value":"5s"}}`,
  );
  assert.equal(
    packed(anyPack(ForeignMessageSchema, foreign), AnySchema),
    `{"optionalAny":{"@type":"${url}google.protobuf.Any","value":{"@type":"${url}${ForeignMessageSchema.typeName}","c":5}}}`,
  );
  assert.equal(write({ optionalAny: {} }), '{"optionalAny":{}}');
  const unknown: Init = { optionalAny: { typeUrl: `${url}no.Such`, value: new Uint8Array([255, 254]) } };
  assert.equal(write(unknown, { registry }), `{"optionalAny":{"@type":"${url}no.Such","value":"//4="}}`);
  assert.equal(write(unknown), `{"optionalAny":{"@type":"${url}no.Such","value":"//4="}}`);
  refused(
    () =>
      write(
        { optionalAny: { typeUrl: `${url}${ForeignMessageSchema.typeName}`, value: new Uint8Array([8]) } },
        { registry },
      ),
    /ForeignMessage/,
  );
  let nested = anyPack(AnySchema, create(AnySchema));
  for (let i = 0; i < 200; i++) nested = anyPack(AnySchema, nested);
  refused(() => write({ optionalAny: nested }, { registry }), /nested too deeply/);
});

test("extensions are printed under their full name where the registry knows them", () => {
  const message = create(TestAllTypesEdition2023Schema);
  setExtension(message, extension_int32, 5);
  const registry = createRegistry(file_google_protobuf_test_messages_edition2023);
  const options = { defaults: "omit" } as const;
  assert.equal(
    bothWays(jsonWriter(TestAllTypesEdition2023Schema, { ...options, registry }), message),
    `{"[${extension_int32.typeName}]":5}`,
  );
  assert.equal(bothWays(jsonWriter(TestAllTypesEdition2023Schema, options), message), "{}");
});

test("writeField prints one field of every kind", () => {
  const writer = jsonWriter(AllTypes);
  const empty = create(AllTypes);
  const full = create(AllTypes, {
    optionalInt64: 5n,
    optionalNestedMessage: { a: 1 },
    repeatedString: ["a"],
    mapInt32Int32: { 1: 2 },
    oneofField: { case: "oneofString", value: "x" },
    optionalDuration: { seconds: 1n },
    optionalInt32Wrapper: 3,
  });
  const rows: readonly [string, string, string][] = [
    ["optionalInt64", '"0"', '"5"'],
    ["optionalNestedMessage", "null", '{"a":1}'],
    ["repeatedString", "[]", '["a"]'],
    ["mapInt32Int32", "{}", '{"1":2}'],
    ["oneofString", "null", '"x"'],
    ["oneofUint32", "null", "null"],
    ["optionalDuration", "null", '"1s"'],
    ["optionalInt32Wrapper", "null", "3"],
    ["optionalNestedEnum", '"FOO"', '"FOO"'],
  ];
  for (const [name, unset, set] of rows) {
    const field = AllTypes.fields.find((candidate) => candidate.localName === name);
    assert.ok(field !== undefined, name);
    assert.equal(writer.writeField(field, empty), unset, name);
    assert.equal(writer.writeField(field, full), set, name);
  }
});

test("writeField prints null for an unset scalar with presence, and lists of editions", () => {
  const writer = jsonWriter(TestAllTypesEdition2023Schema);
  const message = create(TestAllTypesEdition2023Schema, { optionalInt64: 0n });
  const { optionalInt32, optionalInt64, repeatedInt32 } = TestAllTypesEdition2023Schema.field;
  assert.equal(writer.writeField(optionalInt32, message), "null");
  assert.equal(writer.writeField(optionalInt64, message), '"0"');
  assert.equal(writer.writeField(repeatedInt32, message), "[]");
});

test("a message of another type is refused", () => {
  refused(() => bothWays(jsonWriter(AllTypes), create(ForeignMessageSchema)), /ForeignMessage/);
});
