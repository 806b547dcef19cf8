import { create, type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import { fieldsOf } from "../../core/codec/field-shape.ts";

const namesOf = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The fields of a message by JSON name and by proto name; if a name is both, the JSON name wins. */
export function fieldsByName(message: DescMessage): ReadonlyMap<string, DescField> {
  const known = namesOf.get(message);
  if (known !== undefined) return known;
  const names = new Map<string, DescField>();
  for (const field of message.fields) names.set(field.name, field);
  for (const field of message.fields) names.set(field.jsonName, field);
  namesOf.set(message, names);
  return names;
}

/** A path as in errors and field masks: proto names joined by dots. */
export function pathName(path: readonly DescField[]): string {
  return path.map(({ name }) => name).join(".");
}

/** Whether one path equals the other or is a prefix of it, so that setting both would set a field twice. */
export function pathsOverlap(a: readonly DescField[], b: readonly DescField[]): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.every((field, index) => field === long[index]);
}

/** The value of a field in its message; undefined for a member of a oneof that is not set. */
export function getField(message: Message, field: DescField): unknown {
  const fields = fieldsOf(message);
  if (field.oneof === undefined) return fields[field.localName];
  const oneof = fields[field.oneof.localName] as { case: string | undefined; value?: unknown }; // As all oneofs are.
  return oneof.case === field.localName ? oneof.value : undefined;
}

/** Sets a field to a value in the representation of its message. Unsets the other members of its oneof. */
export function setField(message: Message, field: DescField, value: unknown): void {
  const fields = fieldsOf(message);
  if (field.oneof === undefined) fields[field.localName] = value;
  else fields[field.oneof.localName] = { case: field.localName, value };
}

/** The message at the end of `path`, which consists of singular message fields. Creates missing messages. */
export function messageAt(root: Message, path: readonly DescField[]): Message {
  let message = root;
  for (const field of path) {
    if (field.fieldKind !== "message") throw new TypeError(`${field.toString()} is no singular message`);
    let child = getField(message, field) as Message | undefined; // By the field's kind.
    if (child === undefined) {
      child = create(field.message);
      setField(message, field, child);
    }
    message = child;
  }
  return message;
}

/** The message at the end of `path`; undefined if it or one before it in the path is unset. */
export function existingMessageAt(root: Message, path: readonly DescField[]): Message | undefined {
  let message = root;
  for (const field of path) {
    if (!isFieldSet(message, field)) return undefined;
    message = getField(message, field) as Message; // Set, and the caller's path holds messages only.
  }
  return message;
}
