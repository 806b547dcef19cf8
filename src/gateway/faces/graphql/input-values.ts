import type { DescField, DescMessage, DescOneof, Message } from "@bufbuild/protobuf";
import type { GraphQLInputType, GraphQLLeafType, GraphQLNullableInputType } from "graphql";
import { type Fields, messageFactory, setField } from "../../../core/codec/field-shape.ts";
import { InputRefusal } from "./input-refusal.ts";
import { readBy } from "./versions.ts";

/** Values of input fields by their names, as GraphQL has read them. */
export type InputValues = Readonly<Record<string, unknown>>;

/** One field of an input. */
export interface InputMember {
  readonly name: string;
  readonly member: DescField | DescOneof;
  readonly type: GraphQLInputType;
  readonly isDeprecated: boolean;
  /** Sets the value, which is not undefined, in a message. @throws InputRefusal */
  readonly set: (into: Message, value: unknown) => void;
  /** The input below it, where it is an object of fields or a oneof; undefined for all others. */
  readonly below: (() => readonly InputMember[]) | undefined;
}

/** How a value of an input becomes that of a field of a message. */
export interface Shape {
  readonly type: GraphQLNullableInputType;
  /** @throws InputRefusal, or Error with a reason */
  readonly toMessage: ((value: unknown) => unknown) | undefined;
  readonly hasNull: boolean;
  readonly below: (() => readonly InputMember[]) | undefined;
}

/** An element of a map's list. */
export interface Entry {
  readonly key: unknown;
  readonly value: unknown;
}

/** Reads messages of values. @throws InputRefusal */
export function messageReader(
  message: DescMessage,
  membersOf: () => readonly InputMember[],
): (values: InputValues) => Message {
  let create: (() => Message) | undefined; // Most inputs of a large contract are never sent.
  return (values) => {
    const made = (create ??= messageFactory(message))();
    const oneofs = new Map<DescOneof, DescField>();
    for (const { name, member, set } of membersOf()) {
      const value = values[name];
      if (value === undefined) continue;
      if (value !== null && member.kind === "field" && member.oneof !== undefined) {
        const other = oneofs.get(member.oneof);
        if (other !== undefined) {
          throw new InputRefusal(`only one of ${other.name} and ${member.name} may be given`, member.name);
        }
        oneofs.set(member.oneof, member);
      }
      set(made, value);
    }
    return made;
  };
}

/** What sets a field in a message. */
export function setterOf(field: DescField, { toMessage, hasNull }: Shape): InputMember["set"] {
  return (into, value) => {
    if (value === null && !hasNull) return; // It stays as it is without.
    try {
      setField(into, field, toMessage === undefined ? value : toMessage(value));
    } catch (reason) {
      throw InputRefusal.at(field.name, reason);
    }
  };
}

/** Reads the elements of a list. @throws InputRefusal */
export function readElements(elements: readonly unknown[], toMessage: Shape["toMessage"]): unknown[] {
  return elements.map((element, at) => readAt(`[${at}]`, toMessage, element));
}

/** Reads a value that stands at a step of the path: `[2]`, `["key"]`. @throws InputRefusal */
function readAt(step: string, read: Shape["toMessage"], value: unknown): unknown {
  try {
    return read === undefined ? value : read(value);
  } catch (reason) {
    throw InputRefusal.at(step, reason);
  }
}

/** Reads the entries of a map. @throws InputRefusal, or Error for a key that is given twice */
export function readEntries(entries: readonly Entry[], toMessage: Shape["toMessage"]): Fields {
  const map = new Map<string, unknown>();
  for (const { key, value } of entries) {
    const name = String(key);
    if (map.has(name)) throw new Error(`the key ${JSON.stringify(name)} is given twice`);
    map.set(name, readAt(stepOf(name), toMessage, value));
  }
  return Object.fromEntries(map);
}

/** Reads the names of members as keys of a map. */
export function mapKeyParser(type: GraphQLLeafType): (name: string) => unknown {
  switch (type.name) {
    case "String":
      return String;
    case "Boolean":
      return (name) => readBy(type, name === "true" ? true : name === "false" ? false : name);
    case "Int":
    case "UInt32":
      return (name) => readBy(type, /^-?[0-9]+$/.test(name) ? Number(name) : name);
    default:
      return (name) => readBy(type, name);
  }
}

/** Reads a map that is one object of JSON. @throws InputRefusal, or Error for what is no object */
export function readJsonMap(
  toKey: (name: string) => unknown,
  type: GraphQLInputType,
  toMessage: Shape["toMessage"],
  map: unknown,
): Fields {
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw new Error("expected an object");
  const toValue = (value: unknown): unknown => {
    const parsed = readBy(type, value);
    return toMessage === undefined ? parsed : toMessage(parsed);
  };
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => {
      const step = stepOf(name);
      return [String(readAt(step, () => toKey(name), name)), readAt(step, toValue, value)];
    }),
  );
}

/** A key of a map in a path. */
function stepOf(key: string): string {
  return `[${JSON.stringify(key)}]`;
}
