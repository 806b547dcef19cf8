import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  extension_int32,
  TestAllTypesEdition2023_GroupLikeTypeSchema,
  TestAllTypesEdition2023Schema,
} from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3_NestedEnum as NestedEnum,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { messageCheck } from "../../../src/core/codec/message-check.ts";
import { binaryWriter, checkedBinaryWriter } from "../../../src/core/codec/message-to-binary.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { contractOf, typeOf } from "../../support/contract.ts";

type Init = MessageInitShape<typeof AllTypes>;

/** What no TypeScript would compile. */
function forced(init: object): Init {
  return init;
}

/** The bytes of `toBinary`; whether generated code wrote them, which gives Buffers. */
function sameBytes(schema: DescMessage, message: Message): boolean {
  const due = Buffer.from(toBinary(schema, message));
  const [own, checked] = [binaryWriter(schema)(message), checkedBinaryWriter(schema)(message)];
  assert.ok(
    due.equals(own) && due.equals(checked),
    `${due.toString("hex")} ${Buffer.from(own).toString("hex")}`,
  );
  return Buffer.isBuffer(own) && Buffer.isBuffer(checked);
}

function written(init: Init): boolean {
  return sameBytes(AllTypes, create(AllTypes, init));
}

/** Values of which most are none of the field that has them. */
const anything = fc.oneof(
  fc.anything(),
  fc.constantFrom<unknown>(Number.NaN, -0, 1.5, 2 ** 31, 2 ** 32, 2n ** 63n, 2n ** 64n, -1n, "5", "05", true),
  fc.constantFrom<unknown>(
    null,
    undefined,
    [],
    {},
    new Uint8Array(3),
    [1, "a", null],
    { "05": 1 },
    { 1.5: 2 },
  ),
);

for (const schema of [AllTypes, TestAllTypesEdition2023Schema] as DescMessage[]) {
  const messages = messageArbitrary(schema, { anyTypes: [ForeignMessageSchema] });
  const changes = fc.option(fc.tuple(fc.constantFrom(...schema.members), anything), { freq: 2 });

  test(`${schema.name}: messages have the bytes of toBinary, and what is none its errors`, () => {
    const check = messageCheck(schema);
    const change = (message: Message, member: (typeof schema.members)[number], value: unknown): void => {
      const [first] = member.kind === "oneof" ? member.fields : [];
      Object.assign(message, { [member.localName]: first ? { case: first.localName, value } : value });
    };
    const property = fc.property(messages, changes, (message, changed) => {
      if (changed !== null) change(message, ...changed);
      const due = outcome(() => toBinary(schema, message));
      assert.deepEqual(
        outcome(() => binaryWriter(schema)(message)),
        due,
      );
      const checked = outcome(() => {
        check(message);
        return toBinary(schema, message);
      });
      assert.deepEqual(
        outcome(() => checkedBinaryWriter(schema)(message)),
        checked,
      );
    });
    fc.assert(property, { numRuns: 500 });
  });
}

test("generated code writes every kind of field, with each length of a length", () => {
  const sizes = [0, 1, 39, 47, 48, 127, 128, 129, 5_461, 5_462, 16_383, 16_384, 40_000];
  const texts = sizes.flatMap((size) => ["a".repeat(size), "é".repeat(size), `${"a".repeat(size)}é`]);
  for (const text of [...texts, "\ud800", "a\udc00b".repeat(30), "😀".repeat(40)]) {
    assert.ok(
      written({
        optionalString: text,
        optionalNestedMessage: { corecursive: { repeatedString: [text, ""] } },
      }),
    );
  }
  for (const size of sizes) {
    assert.ok(
      written({ optionalBytes: new Uint8Array(size).fill(7), repeatedBytes: [Buffer.alloc(size, 9)] }),
    );
    assert.ok(written({ repeatedInt32: Array.from({ length: size }, (_, at) => at - 5) }));
  }
  const rows: readonly Init[] = [
    {},
    { optionalInt32: -0, optionalDouble: -0, optionalFloat: -0, optionalUint64: 0n },
    { optionalDouble: NaN, optionalFloat: -Infinity, repeatedFloat: [NaN, 3.4028234663852886e38, 0.1] },
    { optionalInt64: -(2n ** 63n), optionalUint64: 2n ** 64n - 1n, optionalSint64: -(2n ** 63n) },
    { optionalInt64: -1n, optionalSint64: -1n, optionalSfixed64: -1n, optionalFixed64: 2n ** 53n },
    { repeatedInt64: [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), -(2n ** 53n) + 1n, 2n ** 32n, -(2n ** 32n)] },
    { optionalNestedEnum: NestedEnum.NEG, repeatedNestedEnum: [77 as NestedEnum, -5 as NestedEnum] },
    { oneofField: { case: "oneofString", value: "" } },
    { oneofField: { case: "oneofNestedMessage", value: {} } },
    { optionalStringWrapper: "", optionalInt64Wrapper: 5n, optionalBoolWrapper: false },
    { repeatedStringWrapper: [{ value: "x" }], optionalBytesWrapper: new Uint8Array([1]) },
    { mapStringString: { "": "", ["__proto__"]: "x", é: "y" }, mapBoolBool: { true: false, false: true } },
    {
      mapInt32Int32: { "-1": 5, 0: 0 },
      mapUint64Uint64: { [String(2n ** 64n - 1n)]: 0n },
      mapSint64Sint64: { "-5": -5n },
    },
    { mapStringNestedMessage: { a: { a: 5 }, b: {} }, mapStringNestedEnum: { a: NestedEnum.BAR } },
    { optionalTimestamp: { seconds: -1n, nanos: 5 }, optionalDuration: { seconds: 5n } },
    { optionalValue: { kind: { case: "stringValue", value: "x" } } },
  ];
  for (const row of rows)
    assert.ok(
      written(row),
      JSON.stringify(row, (_, value: unknown) => String(value)),
    );
});

test("unknown fields, extensions and groups are written as they came", () => {
  const bytes = Buffer.from(
    "f8b9aa020af9b9aa020102030405060708fab9aa0202fffffdb9aa0201020304fbb9aa020801fcb9aa02",
    "hex",
  );
  assert.ok(sameBytes(AllTypes, fromBinary(AllTypes, bytes)));
  const extended = create(TestAllTypesEdition2023Schema, {
    groupliketype: create(TestAllTypesEdition2023_GroupLikeTypeSchema, { groupInt32: 5 }),
  });
  setExtension(extended, extension_int32, -7);
  assert.ok(sameBytes(TestAllTypesEdition2023Schema, extended));
});

test("what generated code leaves to toBinary has its bytes", () => {
  const rows: readonly Init[] = [
    { optionalStruct: { a: [1, "x", null, { b: true }] } },
    { repeatedStruct: [{ a: 1 }, {}] },
    forced({ optionalInt64: "5", mapInt32Int32: { "05": 5 } }),
    forced({ optionalString: 5 }),
    { optionalString: "a".repeat(2_000_000) },
    { repeatedBytes: Array.from({ length: 40 }, () => new Uint8Array(50_000)) },
  ];
  for (const row of rows) {
    const message = create(AllTypes, row);
    assert.deepEqual(Buffer.from(binaryWriter(AllTypes)(message)), Buffer.from(toBinary(AllTypes, message)));
  }
});

suite("what cannot be written", () => {
  const rows: readonly (readonly [init: Init, checked: RegExp])[] = [
    [{ optionalInt32: 1.5 }, /optional_int32: 1\.5 is no int32$/],
    [{ optionalInt64: 2n ** 63n }, /optional_int64: 9223372036854775808 is no int64$/],
    [{ optionalInt64: -(2n ** 63n) - 1n }, /optional_int64: -9223372036854775809 is no int64$/],
    [{ optionalUint64: -1n }, /optional_uint64: -1 is no uint64$/],
    [{ optionalUint64: 2n ** 64n }, /optional_uint64: 18446744073709551616 is no uint64$/],
    [{ optionalUint32: -1 }, /optional_uint32: -1 is no uint32$/],
    [{ optionalFloat: 1e39 }, /optional_float: 1e\+39 is no float$/],
    [{ optionalNestedMessage: { a: 0.5 } }, /NestedMessage\.a: 0\.5 is no int32$/],
    [forced({ mapInt32Int32: { x: 1 } }), /map_int32_int32: string is no int32 key$/],
    [forced({ repeatedUint32: Number.NaN }), /repeated_uint32: NaN is no list$/],
    [forced({ mapInt32Int32: 5 }), /map_int32_int32: 5 is no map$/],
    [forced({ repeatedNestedMessage: [undefined] }), /repeated_nested_message: undefined is no /],
  ];
  for (const [init, checked] of rows) {
    test(String(checked), () => {
      // As the fields of the value itself, which `create` would take for an initial value.
      const message = Object.assign(create(AllTypes), create(AllTypes, init));
      assert.throws(() => checkedBinaryWriter(AllTypes)(message), { name: "TypeError", message: checked });
      assert.deepEqual(
        outcome(() => binaryWriter(AllTypes)(message)),
        outcome(() => toBinary(AllTypes, message)),
      );
    });
  }

  test("a message of another type", () => {
    const other = create(ForeignMessageSchema, { c: 1 });
    const text = /ForeignMessage/;
    assert.throws(() => binaryWriter(AllTypes)(other), text);
    assert.throws(() => checkedBinaryWriter(AllTypes)(other), { name: "TypeError", message: text });
  });

  test("a message without a required field", () => {
    const fields = "required int32 id = 1; optional int32 other = 2 [default = 5];";
    const schema = typeOf(
      contractOf(`syntax = "proto2"; package p; message Strict { ${fields} }`),
      "p.Strict",
    );
    assert.throws(() => binaryWriter(schema)(create(schema)), /Strict\.id/);
    const whole = create(schema, { id: 0 });
    assert.ok(sameBytes(schema, whole));
    assert.equal(Buffer.from(binaryWriter(schema)(whole)).toString("hex"), "0800");
  });

  test("a message that contains itself, by the error of toBinary", () => {
    const message = create(AllTypes);
    message.recursiveMessage = message;
    assert.throws(() => binaryWriter(AllTypes)(message), RangeError);
    assert.ok(written({ optionalString: "after it" }));
  });
});

function outcome(act: () => Uint8Array): unknown {
  try {
    return Buffer.from(act());
  } catch (error) {
    return String(error);
  }
}
