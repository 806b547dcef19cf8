import { create, type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import { fieldsOf } from "../../core/codec/field-shape.ts";

const namesOf = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The fields of a message by JSON name and, where that is no JSON name of another, by proto name. */
export function fieldsByName(message: DescMessage): ReadonlyMap<string, DescField> {
  const known = namesOf.get(message);
  if (known !== undefined) return known;
  const names = new Map<string, DescField>();
  for (const field of message.fields) names.set(field.name, field);
  for (const field of message.fields) names.set(field.jsonName, field);
  namesOf.set(message, names);
  return names;
}

/** A path as errors and field masks write it: proto names joined by dots. */
export function pathName(path: readonly DescField[]): string {
  return path.map(({ name }) => name).join(".");
}

/** Whether one path is the other or leads to it, so that setting both would set one thing twice. */
export function pathsOverlap(a: readonly DescField[], b: readonly DescField[]): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.every((field, index) => field === long[index]);
}

/** The value of a field as its message holds it; undefined for a member of a oneof that is not the one set. */
export function getField(message: Message, field: DescField): unknown {
  const fields = fieldsOf(message);
  if (field.oneof === undefined) return fields[field.localName];
  const oneof = fields[field.oneof.localName] as { case: string | undefined; value?: unknown }; // As all oneofs are.
  return oneof.case === field.localName ? oneof.value : undefined;
}

/** Sets a field to a value in the form in which its message holds it; unsets the other members of its oneof. */
export function setField(message: Message, field: DescField, value: unknown): void {
  const fields = fieldsOf(message);
  if (field.oneof === undefined) fields[field.localName] = value;
  else fields[field.oneof.localName] = { case: field.localName, value };
}

/** The message at the end of `path`, which names singular message fields; missing ones are created on the way. */
export function messageAt(root: Message, path: readonly DescField[]): Message {
  let message = root;
  for (const field of path) {
    if (field.fieldKind !== "message") throw new TypeError(`${field.toString()} is no singular message`);
    let child = getField(message, field) as Message | undefined; // The kind of the field says so.
    if (child === undefined) {
      child = create(field.message);
      setField(message, field, child);
    }
    message = child;
  }
  return message;
}

/** The message at the end of `path`, or undefined where it or one on the way is unset. */
export function existingMessageAt(root: Message, path: readonly DescField[]): Message | undefined {
  let message = root;
  for (const field of path) {
    if (!isFieldSet(message, field)) return undefined;
    message = getField(message, field) as Message; // Set, and the caller's path holds messages only.
  }
  return message;
}
