import { create, type DescField, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { hasFreeForm, isDelimited, setField } from "./field-shape.ts";
import { JsonCursor } from "./json-cursor.ts";
import { jsonReadDefaults } from "./json-trace.ts";
import { messageReader } from "./read-message.ts";
import { seen } from "./scratch.ts";
import type { WriterCompiler } from "./write-message.ts";

// Generated code has no code of its own for some kinds of fields: it calls the text readers and writers for them alone.

/** Deepest nesting of protobuf bytes, as for protobuf-es. */
const maxWireDepth = 100;

/** Whether a field takes a detour: types with a JSON form of free shape, and field masks. */
export function needsDetour(field: DescField): boolean {
  return hasFreeForm(field.message) || field.message?.typeName === "google.protobuf.FieldMask";
}

/** The same for protobuf bytes as input, where groups, which end at a tag, take one as well. */
export function needsBinaryDetour(field: DescField): boolean {
  return needsDetour(field) || isDelimited(field);
}

/** Message → JSON, for the value of one field. */
export function fieldToJson(field: DescField, compiler: WriterCompiler): (message: Message) => string {
  return (message) => {
    const context = { registry: seen.registry, anyDepth: 0 };
    return compiler.message(field.parent).writeField(field, message, context);
  };
}

/** Binary → JSON, for the records of one field with their tags; `depth` counts the messages around and their own. */
export function recordsToJson(
  field: DescField,
  compiler: WriterCompiler,
): (records: Uint8Array, depth: number) => string {
  const print = fieldToJson(field, compiler);
  return (records, depth) =>
    print(fromBinary(field.parent, records, { recursionLimit: maxWireDepth + 1 - depth }));
}

/** JSON → message, for the value of one field; `depth` containers may be open inside of the message, itself counted. */
export function jsonToField(field: DescField): (json: string, depth: number) => unknown {
  return (json, depth) => {
    const reader = messageReader(field.parent).field(field);
    // Unknown members are irregular here, so that only the text reader reports them, and each once.
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

/** JSON → binary, for one field: its records with their tags. */
export function jsonToRecords(field: DescField): (json: string, depth: number) => Uint8Array {
  const parse = jsonToField(field);
  return (json, depth) => {
    const message = create(field.parent);
    const value = parse(json, depth);
    setField(message, field, value);
    return toBinary(field.parent, message);
  };
}
