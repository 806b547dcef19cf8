import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TestAllTypesProto3Schema } from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { messageCheck } from "../../../src/core/codec/message-check.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";

type Init = MessageInitShape<typeof TestAllTypesProto3Schema>;

const check = messageCheck(TestAllTypesProto3Schema);

/** What no TypeScript would compile. */
function forced(init: object): Init {
  return init;
}

suite("what a message cannot hold", () => {
  const wrong: readonly (readonly [init: Init, text: RegExp])[] = [
    [{ optionalInt32: 1.5 }, /TestAllTypesProto3\.optional_int32: 1\.5 is no int32$/],
    [{ optionalInt32: 2 ** 31 }, /optional_int32: 2147483648 is no int32$/],
    [{ optionalUint32: -1 }, /optional_uint32: -1 is no uint32$/],
    [{ optionalFloat: 1e39 }, /optional_float: 1e\+39 is no float$/],
    [{ optionalInt64: 2n ** 63n }, /optional_int64: 9223372036854775808 is no int64$/],
    [{ optionalUint64: -1n }, /optional_uint64: -1 is no uint64$/],
    [forced({ optionalInt64: 5 }), /optional_int64: 5 is no int64$/],
    [forced({ optionalString: 5 }), /optional_string: 5 is no string$/],
    [forced({ optionalBool: "true" }), /optional_bool: string is no bool$/],
    [forced({ optionalDouble: "1" }), /optional_double: string is no double$/],
    [forced({ optionalNestedEnum: 0.5 }), /0\.5 is no number of .*NestedEnum$/],
    [{ repeatedInt32: [1, 2.5] }, /repeated_int32: 2\.5 is no int32$/],
    [forced({ mapInt32Int32: { x: 1 } }), /map_int32_int32: string is no int32 key$/],
    [{ mapInt32Int32: { 1: 0.5 } }, /map_int32_int32: 0\.5 is no int32$/],
    [{ optionalNestedMessage: { a: 0.5 } }, /NestedMessage\.a: 0\.5 is no int32$/],
    [{ repeatedNestedMessage: [{ a: 0.5 }] }, /NestedMessage\.a: 0\.5 is no int32$/],
    [{ oneofField: { case: "oneofUint32", value: 0.5 } }, /oneof_uint32: 0\.5 is no uint32$/],
    [{ optionalInt32Wrapper: 0.5 }, /optional_int32_wrapper: 0\.5 is no int32$/],
    [forced({ optionalStruct: [] }), /optional_struct: object is no google.protobuf.Struct$/],
  ];
  for (const [init, text] of wrong) {
    test(String(text), () => {
      const message = create(TestAllTypesProto3Schema, init);
      assert.throws(() => check(message), { name: "TypeError", message: text });
    });
  }

  test("a message of another type is told by its name", () => {
    const other = { $typeName: "other.Type" } as never;
    assert.throws(() => check(other), /other\.Type stands where a .*TestAllTypesProto3 is due/);
  });
});

test("whatever can be encoded passes", () => {
  fc.assert(
    fc.property(messageArbitrary(TestAllTypesProto3Schema), (message) => {
      toBinary<DescMessage>(TestAllTypesProto3Schema, message);
      check(message);
    }),
  );
});
