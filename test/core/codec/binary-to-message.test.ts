import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { TestAllTypesEdition2023Schema } from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3_NestedEnum as NestedEnum,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { EchoRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { fieldsTaker } from "../../../src/core/codec/binary-to-message-code.ts";
import { messageDecoder } from "../../../src/core/codec/binary-to-message.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { contractOf, typeOf } from "../../support/contract.ts";

type Init = MessageInitShape<typeof AllTypes>;

/** A message, or the text of an error. */
function outcome(run: () => Message): unknown {
  try {
    return run();
  } catch (reason) {
    return String(reason);
  }
}

/** Both ways say the same of bytes. */
function isSame(schema: DescMessage, bytes: Uint8Array): void {
  const due = outcome(() => fromBinary(schema, new Uint8Array(bytes)));
  const hex = Buffer.from(bytes).toString("hex");
  assert.deepEqual(
    outcome(() => messageDecoder(schema)(bytes)),
    due,
    hex,
  );
  assert.deepEqual(
    outcome(() => messageDecoder(schema)(Buffer.from(bytes))),
    due,
    hex,
  );
}

/** The same, of bytes that generated code reads. */
function isRead(schema: DescMessage, bytes: Uint8Array): void {
  const from = Buffer.from(bytes);
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  fieldsTaker(schema).run(from, view, 0, from.length, 1); // It throws for what is irregular.
  isSame(schema, bytes);
}

/** Records that stand together, cut and changed in places. */
const damage = fc.record({
  cut: fc.option(fc.nat(), { freq: 3 }),
  places: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
});

const old = typeOf(
  contractOf(`syntax = "proto2"; package t; enum E { A = 1; B = 5; }
    message Old {
      optional string id = 1; optional int32 count = 2 [default = 7]; optional E kind = 3; repeated E kinds = 4;
      optional group Part = 5 { optional bytes data = 1; } map<string, E> named = 6; repeated int32 numbers = 7;
      optional string text = 8; optional Old inner = 9; oneof choice { Old other = 10; E one = 11; }
      extensions 100 to 200;
    }`),
  "t.Old",
);

for (const schema of [AllTypes, TestAllTypesEdition2023Schema, old] as DescMessage[]) {
  const messages = messageArbitrary(schema, { anyTypes: [ForeignMessageSchema] });

  test(`${schema.name}: bytes are read as fromBinary reads them, and refused for the same reason`, () => {
    const property = fc.property(messages, messages, damage, (one, other, { cut, places }) => {
      const whole = toBinary(schema, one);
      isSame(schema, whole);
      const bytes = Buffer.concat([whole, toBinary(schema, other)]);
      isSame(schema, bytes);
      const damaged = cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1));
      for (const [place, byte] of places) {
        if (damaged.length > 0) damaged[place % damaged.length] = byte;
      }
      isSame(schema, damaged);
    });
    fc.assert(property, { numRuns: 500 });
  });
}

test("generated code reads every kind of field", () => {
  const long = "a".repeat(40);
  const rows: readonly Init[] = [
    {},
    { optionalInt32: -1, optionalSint32: -5, optionalFixed32: 2 ** 32 - 1, optionalSfixed32: -7 },
    { optionalDouble: -0, optionalFloat: -Infinity, repeatedFloat: [NaN, 0.5], repeatedDouble: [1e300] },
    { optionalInt64: -(2n ** 63n), optionalUint64: 2n ** 64n - 1n, optionalSint64: -(2n ** 63n) },
    { optionalFixed64: 2n ** 53n, optionalSfixed64: -1n, optionalBool: true },
    {
      optionalString: "é",
      repeatedString: ["", "a", long, `${long}é😀`],
      optionalBytes: new Uint8Array(300),
    },
    { optionalNestedEnum: NestedEnum.NEG, repeatedNestedEnum: [77 as NestedEnum, -5 as NestedEnum] },
    {
      repeatedInt32: [1, -1, 1_000_000],
      unpackedInt32: [1, 2],
      packedFixed64: [5n, 6n],
      repeatedBool: [true],
    },
    { oneofField: { case: "oneofString", value: "" } },
    { oneofField: { case: "oneofNestedMessage", value: { a: 5 } } },
    {
      optionalStringWrapper: "",
      optionalInt64Wrapper: 5n,
      optionalBoolWrapper: false,
      optionalDoubleWrapper: 1,
    },
    { repeatedStringWrapper: [{ value: "x" }], optionalBytesWrapper: new Uint8Array([1]) },
    { mapStringString: { "": "", ["__proto__"]: "x", é: "y" }, mapBoolBool: { true: false, false: true } },
    { mapInt32Int32: { "-1": 5, 0: 0 }, mapUint64Uint64: { [String(2n ** 64n - 1n)]: 0n } },
    { mapStringNestedMessage: { a: { a: 5 }, b: {} }, mapStringNestedEnum: { a: NestedEnum.BAR } },
    { mapFixed64Fixed64: { 5: 6n }, mapInt32Double: { 1: 0.5 }, mapStringBytes: { a: new Uint8Array([1]) } },
    { optionalTimestamp: { seconds: -1n, nanos: 5 }, optionalDuration: { seconds: 5n } },
    { optionalValue: { kind: { case: "stringValue", value: "x" } } },
    {
      optionalNestedMessage: { corecursive: { repeatedString: ["a"] } },
      repeatedForeignMessage: [{ c: 1 }, {}],
    },
  ];
  for (const row of rows) isRead(AllTypes, toBinary(AllTypes, create(AllTypes, row)));
});

test("what is not plain is read all the same, or refused", () => {
  const hexes = [
    "a2060161", // A field that the contract does not have.
    "9201020a009201020a00", // A message in two records.
    "720161720162", // A text twice: the last one counts.
    "7201ff", // No UTF-8.
    "7203efbfbd", // A replacement character that was sent.
    "920180", // A length without an end.
    "08ffffffffffffffffff7f", // An integer that is too long.
    "c20301", // An end within a record.
    "ba0408", // Cut short.
  ];
  for (const hex of hexes) isSame(AllTypes, Buffer.from(hex, "hex"));
  const deep = (levels: number): Buffer => {
    let bytes = Buffer.alloc(0);
    for (let level = 0; level < levels; level++) {
      const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
      bytes = Buffer.concat([Buffer.from([0xda, 0x01, ...length]), bytes]);
    }
    return bytes;
  };
  for (const levels of [5, 89, 95, 99, 100, 101]) isSame(AllTypes, deep(levels));
});

test("fields of bytes are views of the input's memory, and no Buffers", () => {
  const bytes = Buffer.from(
    toBinary(EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array(5) })),
  );
  const { payload } = messageDecoder(EchoRequestSchema)(bytes);
  assert.ok(payload !== undefined && !Buffer.isBuffer(payload));
  assert.equal(payload.buffer, bytes.buffer);
});

test("a name that every object has, and integers as texts", () => {
  const contract = contractOf(
    'syntax = "proto3"; package t; message M { string constructor = 1; int64 big = 2 [jstype = JS_STRING]; }',
  );
  isRead(typeOf(contract, "t.M"), Buffer.from("0a01611005", "hex"));
});

test("a contract of ten thousand types, each inside of the one before, is none too deep", () => {
  const types = Array.from(
    { length: 10_000 },
    (_, at) => `message M${at} { M${at + 1} next = 1; int32 id = 2; }`,
  );
  const contract = contractOf(
    `syntax = "proto3"; package t; ${types.join("\n")} message M10000 { fixed32 id = 2; }`,
  );
  const message = messageDecoder(typeOf(contract, "t.M0"))(Buffer.from("0a0210071008", "hex"));
  const inner = { $typeName: "t.M1", id: 7 };
  assert.deepEqual(message, { $typeName: "t.M0", id: 8, next: inner });
});
