import assert from "node:assert/strict";
import { test } from "node:test";
import {
  create,
  createRegistry,
  fromBinary,
  type MessageInitShape,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import { BoolValueSchema } from "@bufbuild/protobuf/wkt";
import {
  extension_int32,
  file_google_protobuf_test_messages_edition2023,
  TestAllTypesEdition2023Schema,
} from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  type TestAllTypesProto3,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { binaryToJson } from "../../../src/core/codec/binary-to-json.ts";
import { jsonReader } from "../../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../../src/core/codec/json-to-binary.ts";
import { jsonWriter, type JsonWriteOptions } from "../../../src/core/codec/message-to-json.ts";

type Init = MessageInitShape<typeof AllTypes>;

/** Sends a message over all ways without messages in between, and compares each station. */
function roundTrip(init: Init, options: Partial<JsonWriteOptions> = {}): void {
  const message = create(AllTypes, init);
  const text = jsonWriter(AllTypes, { defaults: "omit", ...options }).write(message);
  const bytes = toBinary(AllTypes, message);
  const json = binaryToJson(AllTypes, { defaults: "omit", ...options }).convertDirectly(bytes);
  assert.ok(json !== undefined, text.slice(0, 200));
  assert.equal(json.toString(), text);
  assert.equal(
    jsonWriter(AllTypes, { defaults: "omit", ...options })
      .writeBytes(message)
      .toString(),
    text,
  );
  const back = jsonToBinary(AllTypes).convertDirectly(json);
  assert.ok(back !== undefined, text.slice(0, 200));
  assert.deepEqual(fromBinary(AllTypes, Uint8Array.from(back)), message);
  assert.deepEqual(jsonReader(AllTypes).readBytes(json), message);
}

test("texts of all lengths and contents pass unchanged", () => {
  const pieces = ["a", "é", "\u2028", "😀", '"', "\\", "\n", "\u0000", "\u007f"];
  for (const length of [0, 1, 12, 13, 39, 40, 41, 126, 127, 128, 129, 300, 16_383, 16_384, 70_000]) {
    for (const piece of pieces) {
      roundTrip({ optionalString: piece.repeat(length), optionalInt32: 5 });
      roundTrip({
        optionalString: "x".repeat(length) + piece,
        mapStringString: { [piece.repeat(length)]: "y" },
      });
    }
  }
});

test("lone surrogates become U+FFFD in bytes as in text", () => {
  for (const text of ["\ud800", `${"a".repeat(50)}\udc00`, "\ud83d\ud83d\ude00"]) {
    const message = create(AllTypes, { optionalString: text, mapStringString: { [text]: text } });
    const writer = jsonWriter(AllTypes);
    assert.equal(writer.writeBytes(message).toString(), writer.write(message));
  }
});

test("bytes of all lengths pass unchanged", () => {
  for (const length of [0, 1, 2, 3, 4, 5, 46, 47, 48, 49, 127, 128, 70_000]) {
    const value = Uint8Array.from({ length }, (_, index) => (index * 37) % 256);
    roundTrip({ optionalBytes: value, repeatedBytes: [value, value], optionalBytesWrapper: value });
  }
});

test("integers at the limits of every width pass unchanged, in all formats", () => {
  const near = Array.from({ length: 64 }, (_, bit) => 2n ** BigInt(bit));
  const decimal = Array.from({ length: 19 }, (_, digit) => 10n ** BigInt(digit));
  const positive = [...near, ...decimal].flatMap((value) => [value - 1n, value, value + 1n]);
  const signed = [...positive, ...positive.map((value) => -value), -(2n ** 63n)];
  const int64 = signed.filter((value) => BigInt.asIntN(64, value) === value);
  const uint64 = [...positive.filter((value) => value <= 2n ** 64n - 1n), 2n ** 64n - 1n];
  const int32 = signed.filter((value) => BigInt.asIntN(32, value) === value).map(Number);
  const uint32 = positive.filter((value) => BigInt.asUintN(32, value) === value).map(Number);
  for (const format of ["string", "number", "safe-number"] as const) {
    const lists = {
      repeatedInt64: int64,
      repeatedSint64: int64,
      repeatedSfixed64: int64,
      repeatedUint64: uint64,
    };
    roundTrip(
      { ...lists, repeatedFixed64: uint64, unpackedInt64: int64, unpackedSint64: int64 },
      { int64: format },
    );
  }
  roundTrip({ repeatedInt32: int32, repeatedSint32: int32, repeatedSfixed32: int32, unpackedInt32: int32 });
  roundTrip({ repeatedUint32: uint32, repeatedFixed32: uint32, unpackedUint32: uint32 });
  const keys = (values: readonly unknown[]): string[] => [...new Set(values.map(String))];
  roundTrip({ mapInt64Int64: Object.fromEntries(keys(int64).map((key) => [key, 1n])) });
  roundTrip({ mapUint64Uint64: Object.fromEntries(keys(uint64).map((key) => [key, 1n])) });
});

test("floating-point numbers pass unchanged", () => {
  const doubles = [
    0,
    -0,
    1,
    -1,
    0.1,
    12.75,
    0.001,
    0.0005,
    999_999.999,
    1e6,
    1e21,
    1e-7,
    5e-324,
    2 ** 53,
    2 ** 31,
  ];
  const values = [
    ...doubles,
    ...doubles.map((value) => -value),
    1 / 3,
    123_456.789,
    1.7976931348623157e308,
    0.1 + 0.2,
  ];
  const odd = [NaN, Infinity, -Infinity];
  roundTrip({ repeatedDouble: [...values, ...odd], unpackedDouble: values });
  const floats = [
    ...values.map(Math.fround).filter(Number.isFinite),
    16_777_216,
    3.4028234663852886e38,
    ...odd,
  ];
  roundTrip({ repeatedFloat: floats, unpackedFloat: floats });
  roundTrip({ optionalDoubleWrapper: -0, optionalFloatWrapper: 0, optionalDouble: -0 });
});

test("timestamps and durations at their limits pass unchanged", () => {
  const seconds = [-62_135_596_800n, -1n, 0n, 1n, 86_399n, 86_400n, 951_782_400n, 253_402_300_799n];
  for (const nanos of [0, 1, 1000, 1_000_000, 120_000_000, 999_999_999]) {
    roundTrip({ repeatedTimestamp: seconds.map((second) => ({ seconds: second, nanos })) });
    roundTrip({ repeatedDuration: [0n, 1n, 315_576_000_000n].map((second) => ({ seconds: second, nanos })) });
    roundTrip({
      repeatedDuration: [0n, -1n, -315_576_000_000n].map((second) => ({
        seconds: second,
        nanos: -nanos + 0,
      })),
    });
  }
});

test("output larger than the room kept for it is complete", () => {
  const values = Array.from({ length: 300_000 }, (_, index) => index * 7);
  roundTrip({ repeatedInt32: values.slice(0, 10_000) });
  roundTrip({ repeatedInt32: values, repeatedString: values.slice(0, 20_000).map(String) });
  roundTrip({ optionalInt32: 1 });
});

/** A row: bytes in hexadecimal, and whether they need no message. */
const wire: readonly [hex: string, direct: boolean, what: string][] = [
  ["", true, "nothing"],
  ["0801", true, "a field"],
  ["08011002", true, "two in order"],
  ["10020801", false, "two out of order"],
  ["08010802", false, "one twice"],
  ["0800", true, "a default that is sent"],
  ["08ffffffffffffffffff01", true, "a negative number"],
  ["08ffffffff0f", true, "a negative number in five bytes"],
  ["88000801", false, "an overlong tag"],
  ["880001", true, "an overlong tag alone"],
  ["fa0103010203", true, "packed"],
  ["f80101f80102", true, "not packed"],
  ["f80101fa01020203", false, "both"],
  ["fa0101f8", false, "packed and cut"],
  ["fa0100", true, "packed and empty"],
  ["c2030408011002ca030408011002", true, "maps"],
  ["c203040801100ac2030408021014", true, "two entries"],
  ["c203040801100ac2030408011014", false, "one key twice"],
  ["c203021001", false, "an entry without its key"],
  ["c20300", false, "an empty entry"],
  ["7201ff", false, "no UTF-8"],
  ["7203eda080", false, "a surrogate as UTF-8"],
  ["720561", false, "cut"],
  ["f8ff0301", true, "an unknown field at the end"],
  ["0801f9ff030102030405060708fdff0301020304faff0301aa", true, "unknown fields of all types"],
  ["fbff030801fbff030802fcff03fcff03", true, "an unknown group in a group"],
  ["fbff030801f4ff03", false, "a group with another end"],
  ["fbff03", false, "a group without end"],
  ["00", false, "field number zero"],
  ["07", false, "a wire type that is none"],
  ["0c", false, "the end of no group"],
  ["9201020801", true, "a message"],
  ["9201009201020801", false, "a message in two parts"],
  ["f806019a070161", false, "two members of a oneof"],
  ["ca0c00", true, "an empty wrapper"],
];

test("bytes of every shape are printed as the message they decode to", () => {
  const registry = createRegistry(file_google_protobuf_test_messages_edition2023, BoolValueSchema);
  for (const [hex, direct, what] of wire) {
    const bytes = Buffer.from(hex, "hex");
    for (const options of [{}, { registry }, { defaults: "omit", int64: "number" }] as const) {
      const attempt = (act: () => string): unknown => {
        try {
          return JSON.parse(act());
        } catch (error) {
          return String(error);
        }
      };
      const expected = attempt(() => jsonWriter(AllTypes, options).write(fromBinary(AllTypes, bytes)));
      const converter = binaryToJson(AllTypes, options);
      const actual = attempt(() => converter.convert(bytes).toString());
      assert.deepEqual(actual, expected, what);
    }
    assert.equal(binaryToJson(AllTypes).convertDirectly(bytes) !== undefined, direct, `${what}: ${hex}`);
  }
});

test("messages may nest as deep as on the way over messages", () => {
  for (const depth of [1, 20, 44, 45, 46, 49, 50, 51, 60, 99, 100, 101, 5000]) {
    const json = `${'{"recursiveMessage":'.repeat(depth)}{}${"}".repeat(depth)}`;
    // A reader of this schema reads such messages.
    const wanted = outcome(
      () => toBinary(AllTypes, jsonReader(AllTypes).read(json) as TestAllTypesProto3).length,
    );
    assert.deepEqual(
      outcome(() => jsonToBinary(AllTypes).convert(Buffer.from(json)).length),
      wanted,
    );
    let bytes: Uint8Array = new Uint8Array(0);
    for (let level = 0; level < Math.min(depth, 300); level++) bytes = wrap(bytes);
    const writer = jsonWriter(AllTypes, { defaults: "omit" });
    assert.deepEqual(
      outcome(() => binaryToJson(AllTypes, { defaults: "omit" }).convert(bytes).toString()),
      outcome(() => writer.write(fromBinary(AllTypes, bytes))),
    );
  }
});

test("arrays and objects of maps count as levels", () => {
  const rows = [
    '{"repeatedInt32":[1]}',
    '{"mapInt32Int32":{"1":2}}',
    '{"repeatedNestedMessage":[{}]}',
    '{"optionalStruct":{"a":[]}}',
  ];
  for (const json of rows) {
    for (const maxDepth of [1, 2, 3]) {
      const reader = jsonReader(AllTypes, { maxDepth });
      const wanted = outcome(() => void reader.read(json));
      assert.equal(
        outcome(() => void reader.readBytes(Buffer.from(json))),
        wanted,
      );
      assert.equal(
        outcome(() => void jsonToBinary(AllTypes, { maxDepth }).convert(Buffer.from(json))),
        wanted,
      );
    }
  }
});

test("extensions are printed from their bytes where the registry knows them", () => {
  const desc = TestAllTypesEdition2023Schema;
  const registry = createRegistry(file_google_protobuf_test_messages_edition2023);
  const extended = create(desc);
  setExtension(extended, extension_int32, 5);
  const message = toBinary(desc, extended);
  for (const known of [registry, undefined]) {
    const options = { defaults: "omit", registry: known } as const;
    assert.equal(
      binaryToJson(desc, options).convert(message).toString(),
      jsonWriter(desc, options).write(fromBinary(desc, message)),
    );
  }
  assert.match(binaryToJson(desc, { registry }).convert(message).toString(), /extension_int32\]":5/);
});

/** Bytes of a message that has another one in its field `recursive_message`. */
function wrap(bytes: Uint8Array): Uint8Array {
  const head = [0xda, 0x01];
  let rest = bytes.length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Uint8Array.from([...head, rest]), bytes]);
}

function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return String(error);
  }
}
