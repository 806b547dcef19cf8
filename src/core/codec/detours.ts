import { create, type DescField, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { hasFreeForm, isDelimited, setField } from "./field-shape.ts";
import { JsonCursor } from "./json-cursor.ts";
import { jsonReadDefaults } from "./json-trace.ts";
import { messageReader } from "./read-message.ts";
import { seen } from "./scratch.ts";
import type { WriterCompiler } from "./write-message.ts";

// What generated code does with fields that it has no code for: it gives them, and them alone, to the path over messages.

/** Deepest nesting of protobuf bytes, as for protobuf-es. */
const maxWireDepth = 100;

/** Whether fields are left to the path over messages: types with a JSON form of free shape, and groups. */
export function needsDetour(field: DescField): boolean {
  return hasFreeForm(field.message) || field.message?.typeName === "google.protobuf.FieldMask";
}

/** The same for protobuf bytes as input, where groups end at a tag. */
export function needsWireDetour(field: DescField): boolean {
  return needsDetour(field) || isDelimited(field);
}

/** Prints the value of a field of a message. */
export function fieldToJson(field: DescField, compiler: WriterCompiler): (message: Message) => string {
  return (message) => {
    const context = { registry: seen.registry, anyDepth: 0 };
    return compiler.message(field.parent).writeField(field, message, context);
  };
}

/** Prints the value of a field from its records, tags and all; `depth` counts the messages around and their own. */
export function recordsToJson(
  field: DescField,
  compiler: WriterCompiler,
): (records: Uint8Array, depth: number) => string {
  const print = fieldToJson(field, compiler);
  return (records, depth) =>
    print(fromBinary(field.parent, records, { recursionLimit: maxWireDepth + 1 - depth }));
}

/** Reads the value of a field from its JSON; inside of the message, `depth` containers may be open, itself counted. */
export function jsonToField(field: DescField): (json: string, depth: number) => unknown {
  return (json, depth) => {
    const reader = messageReader(field.parent).field(field);
    // Unknown members are reported on the path over messages alone, so that nobody hears of them twice.
    const own = { unknownFields: "reject", maxDepth: depth - 1, registry: seen.registry } as const;
    const cursor = new JsonCursor(json, { ...jsonReadDefaults, ...own }, reader);
    cursor.left = seen.left;
    cursor.next();
    const value = reader.read(cursor);
    cursor.finish();
    seen.left = cursor.left;
    return value;
  };
}

/** Turns the JSON of a field into its records. */
export function jsonToRecords(field: DescField): (json: string, depth: number) => Uint8Array {
  const parse = jsonToField(field);
  return (json, depth) => {
    const message = create(field.parent);
    const value = parse(json, depth);
    setField(message, field, value);
    return toBinary(field.parent, message);
  };
}
