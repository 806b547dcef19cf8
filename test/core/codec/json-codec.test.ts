import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createRegistry,
  type DescMessage,
  fromJsonString,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  Int32ValueSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { TestAllTypesEdition2023Schema } from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3Schema,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { jsonReader } from "../../../src/core/codec/json-to-message.ts";
import { jsonWriter } from "../../../src/core/codec/message-to-json.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";

// Types whose bytes do not depend on the order of map entries.
const anyTypes = [
  AnySchema,
  DurationSchema,
  ForeignMessageSchema,
  Int32ValueSchema,
  TimestampSchema,
  ValueSchema,
];
const scalarOnly = anyTypes.filter((type) => type !== ValueSchema);
const registry = createRegistry(...anyTypes);

/** JSON text of a tree with random space and the members of all objects in random order. */
function scramble(value: JsonValue, random: () => number): string {
  const space = (): string => " \n\t\r".slice(0, Math.max(0, Math.floor(random() * 8) - 3));
  const print = (node: JsonValue): string => {
    if (Array.isArray(node)) return `[${space()}${node.map(print).join(`${space()},${space()}`)}${space()}]`;
    if (node === null || typeof node !== "object") return Object.is(node, -0) ? "-0" : JSON.stringify(node);
    const members = Object.entries(node).map(
      ([name, member]) => `${JSON.stringify(name)}${space()}:${space()}${print(member)}`,
    );
    for (let i = members.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [members[i], members[j]] = [members[j] ?? "", members[i] ?? ""];
    }
    return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`;
  };
  return space() + print(value) + space();
}

/** A fixed sequence of numbers from 0 to 1 for every seed (a linear congruence of Numerical Recipes). */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Compares trees with numbers taken as 32-bit floats, as protobuf-es prints floats with the digits of doubles. */
function assertSameTree(actual: JsonValue, expected: JsonValue): void {
  const rounded = (tree: JsonValue): unknown =>
    JSON.parse(JSON.stringify(tree), (_, node: unknown) =>
      typeof node === "number" ? Math.fround(node) : node,
    );
  assert.deepEqual(rounded(actual), rounded(expected));
}

const runs = { numRuns: 300 };

for (const schema of [TestAllTypesProto3Schema, TestAllTypesEdition2023Schema] as DescMessage[]) {
  const name = schema.name;
  const reader = jsonReader(schema, { registry, unknownFields: "reject" });
  const messages = messageArbitrary(schema, { anyTypes: scalarOnly });

  test(`${name}: what is written reads back in protobuf-es as the same message`, () => {
    for (const defaults of ["emit", "omit"] as const) {
      const writer = jsonWriter(schema, { registry, defaults });
      fc.assert(
        fc.property(messages, (message: Message) => {
          const back = fromJsonString(schema, writer.write(message), { registry });
          assert.deepEqual(toBinary(schema, back), toBinary(schema, message));
        }),
        runs,
      );
    }
  });

  test(`${name}: what is written is the tree of protobuf-es under all options`, () => {
    const options = fc.record({
      fieldNames: fc.constantFrom("json" as const, "proto" as const),
      enums: fc.constantFrom("name" as const, "number" as const),
      defaults: fc.constantFrom("emit" as const, "omit" as const),
      indent: fc.constantFrom(0, 2),
    });
    fc.assert(
      fc.property(messages, options, (message, chosen) => {
        const expected = toJson(schema, message, {
          registry,
          useProtoFieldName: chosen.fieldNames === "proto",
          enumAsInteger: chosen.enums === "number",
          alwaysEmitImplicit: chosen.defaults === "emit",
        });
        const written = jsonWriter(schema, { registry, ...chosen }).write(message);
        assertSameTree(JSON.parse(written) as JsonValue, expected);
      }),
      runs,
    );
  });

  test(`${name}: any spelling of a message is read as by protobuf-es`, () => {
    fc.assert(
      fc.property(messages, fc.nat(), (message, seed) => {
        const text = scramble(toJson(schema, message, { registry }), sequence(seed));
        assert.deepEqual(reader.read(text), fromJsonString(schema, text, { registry }));
      }),
      runs,
    );
  });

  test(`${name}: what is written is read as the same message`, () => {
    const writer = jsonWriter(schema, { registry });
    fc.assert(
      fc.property(messages, (message) => assert.deepEqual(reader.read(writer.write(message)), message)),
      runs,
    );
  });
}
