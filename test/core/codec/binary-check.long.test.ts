import assert from "node:assert/strict";
import { test } from "node:test";
import { type DescMessage, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TestAllTypesProto3Schema } from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { binaryCheck } from "../../../src/core/codec/binary-check.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { contractOf, typeOf } from "../../support/contract.ts";

const schema: DescMessage = TestAllTypesProto3Schema;
const messages = messageArbitrary(schema);
const check = binaryCheck(schema);

/** Whether the decoder takes bytes. */
function isDecodable(bytes: Uint8Array): boolean {
  try {
    fromBinary(schema, Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
}

test("what serializers write is a message", () => {
  fc.assert(
    fc.property(messages, (message) => assert.ok(check(toBinary(schema, message)))),
    { numRuns: 500 },
  );
});

test("what the decoder refuses is none, and what passes is the same message when it is encoded again", () => {
  const edits = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(3),
    put: fc.uint8Array({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(messages, edits, (message, { at, cut, put }) => {
      const whole = toBinary(schema, message);
      const index = Math.floor(at * whole.length);
      const bytes = Buffer.concat([whole.subarray(0, index), put, whole.subarray(index + cut)]);
      if (!check(bytes)) return;
      assert.ok(isDecodable(bytes), bytes.toString("hex"));
      const decoded = fromBinary(schema, Uint8Array.from(bytes));
      const again = fromBinary(schema, toBinary(schema, decoded));
      if (!equals(schema, decoded, again)) {
        assert.deepEqual(toBinary(schema, decoded), toBinary(schema, again)); // NaN is equal in bytes only.
      }
    }),
    { numRuns: 5000 },
  );
});

const table: readonly [name: string, bytes: readonly number[], expected: boolean][] = [
  ["no bytes", [], true],
  ["a field", [0x08, 1], true],
  ["a field twice", [0x08, 1, 0x08, 2], true],
  ["an unknown field", [0xfa, 0x7f, 1, 5], true],
  ["a varint without an end", [0x08, 0x80], false],
  ["a varint of eleven bytes", [0x08, ...Array.from({ length: 10 }, () => 0x80), 1], false],
  ["a varint of ten bytes", [0x08, ...Array.from({ length: 9 }, () => 0xff), 1], true],
  ["a length beyond the end", [0x72, 2, 0x61], false],
  ["a number of another wire type", [0x0d, 0, 0, 0, 0], false],
  ["a string that is no UTF-8", [0x72, 1, 0xff], false],
  ["the field 0", [0x00, 1], false],
  ["a wire type that is none", [0x0f], false],
  ["a group", [0xfb, 0x7f, 0xfc, 0x7f], false],
  ["numbers in one record", [0xfa, 1, 2, 1, 2], true],
  ["numbers in one record, the last without an end", [0xfa, 1, 2, 1, 0x80], false],
  ["a message inside with a broken field", [0x92, 1, 2, 0x08, 0x80], false],
];

for (const [name, bytes, expected] of table) {
  test(`${name}: ${expected ? "a message" : "to be decoded"}`, () => {
    assert.equal(check(Uint8Array.from(bytes)), expected);
  });
}

test("deep nesting is left to the decoder", () => {
  // Field 27, recursive_message, each around the one before.
  let bytes = Buffer.alloc(0);
  for (let depth = 0; depth < 120; depth++) {
    const length = bytes.length;
    const prefix = length < 0x80 ? [0xda, 1, length] : [0xda, 1, (length & 0x7f) | 0x80, length >> 7];
    bytes = Buffer.concat([Buffer.from(prefix), bytes]);
    if (check(bytes)) assert.ok(isDecodable(bytes));
  }
  assert.ok(!check(bytes));
});

test("messages with required fields are always decoded", () => {
  const contract = contractOf(
    'syntax = "proto2"; package p; message Outer { repeated Inner all = 1; } message Inner { required int32 id = 1; }',
  );
  assert.ok(!binaryCheck(typeOf(contract, "p.Outer"))(new Uint8Array()));
});
