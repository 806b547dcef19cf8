import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TestAllTypesEdition2023Schema } from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3_NestedMessageSchema as Nested,
  TestAllTypesProto3Schema as AllTypes,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { messageMaker } from "../../../src/core/codec/init-to-message.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";

type Init = MessageInitShape<typeof AllTypes>;

/** Both ways make the same of an object. */
function isSame(schema: DescMessage, given: object): void {
  const init = given as Record<string, unknown>; // By its names.
  const outcome = (make: () => Message): unknown => {
    try {
      return make();
    } catch (reason) {
      return String(reason);
    }
  };
  const due = outcome(() => create(schema, init));
  assert.deepEqual(
    outcome(() => messageMaker(schema)(init)),
    due,
  );
}

/** What handlers write: no names of types, and bytes as numbers. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => name !== "$typeName");
  return Object.fromEntries(entries.map(([name, each]) => [name, plain(each)]));
}

const anything = fc.oneof(
  fc.anything(),
  fc.constantFrom<unknown>(null, undefined, [], {}, [1, 2], { case: "x" }),
);

for (const schema of [AllTypes, TestAllTypesEdition2023Schema] as DescMessage[]) {
  const messages = messageArbitrary(schema, { anyTypes: [ForeignMessageSchema] });
  const changes = fc.array(fc.tuple(fc.constantFrom(...schema.members), anything), { maxLength: 3 });

  test(`${schema.name}: an object becomes the message that create makes of it`, () => {
    const property = fc.property(messages, changes, (message, changed) => {
      isSame(schema, message);
      isSame(schema, { ...message, $typeName: undefined });
      const init = plain(message) as Record<string, unknown>; // It is an object.
      isSame(schema, init);
      for (const [{ localName }, value] of changed) init[localName] = value;
      isSame(schema, init);
    });
    fc.assert(property, { numRuns: 500 });
  });
}

test("messages are kept, at the top and inside; lists of scalars too", () => {
  const nested = create(Nested, { a: 5 });
  const numbers = [1, 2];
  const init: Init = {
    optionalNestedMessage: nested,
    repeatedNestedMessage: [nested],
    repeatedInt32: numbers,
  };
  const made = messageMaker(AllTypes)(init);
  assert.equal(made.optionalNestedMessage, nested);
  assert.equal(made.repeatedNestedMessage[0], nested);
  assert.equal(made.repeatedInt32, numbers);
  assert.equal(messageMaker(AllTypes)(made), made);
});

test("maps with names that every object has, oneofs without a case, unknown names", () => {
  const rows = [
    { mapStringNestedMessage: { ["__proto__"]: { a: 1 }, constructor: {} } },
    { mapStringBytes: { a: [1, 2] }, mapStringString: { ["__proto__"]: "x" } },
    { oneofField: { case: "oneofNestedMessage", value: { a: 1 } } },
    { oneofField: { case: "oneofBytes", value: [1] } },
    { oneofField: { case: "no such", value: 1 } },
    { oneofField: { case: undefined } },
    { optionalBytesWrapper: [1], repeatedBytesWrapper: [{ value: [1] }], optionalStruct: { a: 1 } },
    { repeatedStruct: [{ a: 1 }], optionalValue: { kind: { case: "structValue", value: { fields: {} } } } },
    { nothing: 1, ["__proto__"]: { optionalInt32: 5 } },
  ];
  for (const row of rows) isSame(AllTypes, row);
  // @ts-expect-error -- What JavaScript may give.
  for (const none of [undefined, null, 5]) assert.deepEqual(messageMaker(AllTypes)(none), create(AllTypes));
});
