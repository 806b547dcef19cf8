import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { createRegistry, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  EmptySchema,
  Int32ValueSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import {
  file_google_protobuf_test_messages_edition2023,
  TestAllTypesEdition2023Schema,
} from "../../../gen/google/protobuf/test_messages_edition2023_pb.ts";
import {
  ForeignMessageSchema,
  TestAllTypesProto3Schema,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { binaryToJson } from "../../../src/core/codec/binary-to-json.ts";
import { jsonReader } from "../../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../../src/core/codec/json-to-binary.ts";
import { jsonWriter, type JsonWriteOptions } from "../../../src/core/codec/message-to-json.ts";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";

const anyTypes = [DurationSchema, ForeignMessageSchema, Int32ValueSchema, TimestampSchema];
const registry = createRegistry(
  ...anyTypes,
  AnySchema,
  ValueSchema,
  file_google_protobuf_test_messages_edition2023,
);
const schemas = [TestAllTypesProto3Schema, TestAllTypesEdition2023Schema] as DescMessage[];
const runs = { numRuns: 300 };

const formats: fc.Arbitrary<Partial<JsonWriteOptions>> = fc.record({
  fieldNames: fc.constantFrom("json" as const, "proto" as const),
  enums: fc.constantFrom("name" as const, "number" as const),
  defaults: fc.constantFrom("emit" as const, "omit" as const),
  int64: fc.constantFrom("string" as const, "number" as const, "safe-number" as const),
  indent: fc.constantFrom(0, 0, 0, 2),
  registry: fc.constantFrom(registry, registry, undefined),
});

type Outcome = { readonly value: unknown } | { readonly code: unknown; readonly message: string };

function outcomeOf(act: () => unknown): Outcome {
  try {
    return { value: act() };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { code: error instanceof ConnectError ? error.code : error.name, message: error.message };
  }
}

const decode = (schema: DescMessage, bytes: Uint8Array): Message =>
  fromBinary(schema, Uint8Array.from(bytes));
const parse = (json: Uint8Array | string): unknown => JSON.parse(json.toString());

/** Both ways from bytes to JSON end alike. */
function checkBinary(schema: DescMessage, bytes: Uint8Array, options?: Partial<JsonWriteOptions>): Outcome {
  const straight = outcomeOf(() => parse(binaryToJson(schema, options).convert(bytes)));
  const writer = jsonWriter(schema, options);
  assert.deepEqual(
    straight,
    outcomeOf(() => parse(writer.write(fromBinary(schema, bytes)))),
  );
  return straight;
}

/** The same bytes as views of one buffer, as they arrive in one chunk. */
function inOneBuffer(messages: readonly Uint8Array[]): Buffer[] {
  const all = Buffer.concat(messages);
  let end = 0;
  return messages.map(({ length }) => all.subarray(end, (end += length)));
}

function checkPieces(
  schema: DescMessage,
  messages: readonly Uint8Array[],
  options: Partial<JsonWriteOptions>,
): void {
  const converter = binaryToJson(schema, options);
  let from = 0;
  while (from < messages.length) {
    const frame = { before: (index: number) => `${from + index}:`, after: "\n" };
    const piece = converter.convertPiece(messages, from, frame);
    const singles = messages.slice(from).map((bytes) => converter.convertDirectly(bytes));
    const count = singles.indexOf(undefined);
    assert.equal(piece?.count, count === 0 ? undefined : count === -1 ? singles.length : count);
    const due = singles.slice(0, piece?.count ?? 0).map((json, index) => `${from + index}:${String(json)}\n`);
    assert.equal(piece?.bytes.toString() ?? "", due.join(""));
    from += piece?.count ?? 1;
  }
}

/** All ways from JSON bytes to a message end alike. */
function checkJson(schema: DescMessage, json: Uint8Array): void {
  for (const unknownFields of ["ignore", "reject"] as const) {
    const options = { registry, unknownFields };
    const reader = jsonReader(schema, options);
    const read = outcomeOf(() => {
      const message = reader.read(new TextDecoder("utf-8", { fatal: true }).decode(json));
      return [message, decode(schema, toBinary(schema, message))];
    });
    const bytes = outcomeOf(() => [
      reader.readBytes(json),
      decode(schema, jsonToBinary(schema, options).convert(json)),
    ]);
    // The words for what is no UTF-8 are not the decoder's.
    if ("code" in read && read.code === "TypeError") assert.ok("code" in bytes);
    else assert.ok(isDeepStrictEqual(bytes, read), json.toString()); // Their difference takes minutes to print.
  }
}

for (const schema of schemas) {
  const messages = messageArbitrary(schema, { anyTypes });
  const regular = messageArbitrary(schema, { maxFields: 5, maxDepth: 1 });

  test(`${schema.name}: bytes and messages are printed as the same JSON under all options`, () => {
    fc.assert(
      fc.property(messages, formats, (message, options) => {
        const bytes = toBinary(schema, message);
        checkBinary(schema, bytes, options);
        const writer = jsonWriter(schema, options);
        assert.deepEqual(
          outcomeOf(() => parse(writer.writeBytes(message))),
          outcomeOf(() => parse(writer.write(message))),
        );
      }),
      runs,
    );
  });

  test(`${schema.name}: the value of each field is printed as by the writer of messages`, () => {
    const withChange = fc.tuple(messages, fc.option(damage, { nil: undefined, freq: 5 }));
    fc.assert(
      fc.property(
        withChange,
        fc.constantFrom(...schema.fields),
        formats,
        ([message, change], field, options) => {
          const whole = toBinary(schema, message);
          const bytes = change === undefined ? whole : change(whole);
          const writer = jsonWriter(schema, options);
          assert.deepEqual(
            outcomeOf(() => parse(binaryToJson(schema, options, field).convert(bytes))),
            outcomeOf(() => parse(writer.writeField(field, decode(schema, bytes)))),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  test(`${schema.name}: the value of a field needs no message, set or not`, () => {
    fc.assert(
      fc.property(messages, fc.boolean(), fc.constantFrom(...schema.fields), (message, set, field) => {
        const bytes = set ? toBinary(schema, message) : new Uint8Array();
        const json = binaryToJson(schema, { registry }, field).convertDirectly(bytes);
        assert.ok(json !== undefined, field.name);
      }),
      { numRuns: 60 },
    );
  });

  test(`${schema.name}: JSON is read as the same message on all ways`, () => {
    fc.assert(
      fc.property(messages, formats, (message, { int64: _, ...options }) => {
        checkJson(schema, Buffer.from(jsonWriter(schema, { ...options, registry }).write(message)));
      }),
      runs,
    );
  });

  test(`${schema.name}: what serializers write needs no message`, () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = toBinary(schema, message);
        const json = binaryToJson(schema, { registry }).convertDirectly(bytes);
        assert.ok(json !== undefined);
        assert.ok(jsonToBinary(schema, { registry }).convertDirectly(json) !== undefined, json.toString());
      }),
      runs,
    );
  });

  test(`${schema.name}: messages in pieces are printed as each by itself, or left to another way`, () => {
    const some = fc.array(fc.tuple(messages, fc.option(damage, { nil: undefined, freq: 5 })), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(some, formats, fc.boolean(), (tuples, options, together) => {
        const bytes = tuples.map(([message, change]) => {
          const whole = toBinary(schema, message);
          return change === undefined ? whole : change(whole);
        });
        checkPieces(schema, together ? inOneBuffer(bytes) : bytes, { registry, ...options });
      }),
      { numRuns: 300 },
    );
  });

  test(`${schema.name}: damaged bytes are taken and refused as by the decoder`, () => {
    fc.assert(
      fc.property(messages, damage, formats, (message, change, options) => {
        checkBinary(schema, change(toBinary(schema, message)), options);
      }),
      { numRuns: 1500 },
    );
  });

  test(`${schema.name}: damaged JSON is taken and refused as by the reader`, () => {
    fc.assert(
      fc.property(regular, damage, (message, change) => {
        checkJson(schema, change(Buffer.from(jsonWriter(schema, { defaults: "omit" }).write(message))));
      }),
      { numRuns: 1500 },
    );
  });

  test(`${schema.name}: records in any order, twice and beside unknown ones mean the same`, () => {
    fc.assert(
      fc.property(messages, messages, fc.array(fc.nat()), (one, two, order) => {
        const records = [
          ...recordsOf(toBinary(schema, one)),
          ...recordsOf(toBinary(schema, two)),
          ...unknown,
        ];
        for (const [index, at] of order.entries()) {
          const [record] = records.splice(at % records.length, 1);
          if (record !== undefined) records.splice((index * 7) % (records.length + 1), 0, record);
        }
        checkBinary(schema, Buffer.concat(records), { registry });
        checkBinary(schema, Buffer.concat([toBinary(schema, one), ...unknown]));
      }),
      runs,
    );
  });
}

/** Ways to damage bytes: cut them, change one, double a piece, or drop one. */
const damage = fc
  .tuple(fc.nat(), fc.nat(), fc.nat(255), fc.constantFrom("cut", "change", "double", "drop", "space"))
  .map(([at, length, byte, kind]) => (bytes: Uint8Array): Uint8Array => {
    const start = at % (bytes.length + 1);
    const end = Math.min(bytes.length, start + (length % 20));
    switch (kind) {
      case "cut":
        return bytes.slice(0, start);
      case "change":
        return Uint8Array.from(bytes, (old, index) => (index === start ? byte : old));
      case "double":
        return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
      case "drop":
        return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
      default:
        return Buffer.concat([bytes.subarray(0, start), Buffer.from(" \n"), bytes.subarray(start)]);
    }
  });

/** Fields of every wire type that no message has. */
const unknown = [
  "f8b9aa020a",
  "f9b9aa020102030405060708",
  "fab9aa0202ffff",
  "fdb9aa0201020304",
  "fbb9aa020801fcb9aa02",
].map((hex) => Buffer.from(hex, "hex"));

/** The single records of an encoded message. */
function recordsOf(bytes: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  const skipped = fromBinary(EmptySchema, bytes).$unknown ?? [];
  for (const { no, wireType, data } of skipped) {
    const tag: number[] = [];
    let rest = ((no << 3) | wireType) >>> 0;
    for (; rest > 0x7f; rest >>>= 7) tag.push((rest & 0x7f) | 0x80);
    records.push(Buffer.concat([Uint8Array.from([...tag, rest]), data]));
  }
  return records;
}
