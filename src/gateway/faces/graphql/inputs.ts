import type { DescField, DescMessage, DescOneof, Message } from "@bufbuild/protobuf";
import {
  GraphQLBoolean,
  type GraphQLFieldConfigArgumentMap,
  type GraphQLInputFieldConfig,
  GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLNullableInputType,
  type GraphQLLeafType,
  GraphQLList,
} from "graphql";
import { type Fields, messageFactory, setField } from "../../../core/codec/field-shape.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import { isHttpBody } from "../../binding/http-body.ts";
import { InputRefusal } from "./input-refusal.ts";
import { nonNull } from "./non-null.ts";
import { noReason } from "./leaves.ts";
import { namedMembers, fieldName, upperCamel } from "./names.ts";
import type { TypeParts } from "./type-parts.ts";
import { readBy } from "./versions.ts";

/** What an input is of: a request, or a part of which a mask says which fields count, so that none has to be there. */
export type InputSide = "input" | "patch";

/** Values of input fields by their names, as GraphQL has read them. */
export type InputValues = Readonly<Record<string, unknown>>;

/** Fields that only the server sets, and that the path of a route binds nevertheless, by the side that has them. */
export type BoundFields = Readonly<Record<InputSide, ReadonlySet<DescField>>>;

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
interface Shape {
  readonly type: GraphQLNullableInputType;
  /** @throws InputRefusal, or Error with a reason */
  readonly toMessage: ((value: unknown) => unknown) | undefined;
  readonly hasNull: boolean;
  readonly below: (() => readonly InputMember[]) | undefined;
}

/** An input object. */
interface InputObject {
  readonly type: GraphQLInputObjectType;
  readonly members: () => readonly InputMember[];
  readonly read: (values: InputValues) => Message;
}

/** The types of messages in arguments, and how their values become messages. */
export class Inputs {
  readonly #parts: TypeParts;
  readonly #bound: BoundFields;
  readonly #objects = new Map<string, InputObject>();
  /** The types of entries of maps and of oneofs, by what they are made of. */
  readonly #small = new Map<string, GraphQLInputObjectType>();
  readonly #differing = new Map<DescMessage, boolean>();

  constructor(parts: TypeParts, bound: BoundFields) {
    this.#parts = parts;
    this.#bound = bound;
  }

  /** The fields of a request. @param patched the field of which a mask says what counts; undefined for none */
  members(message: DescMessage, patched?: DescField): readonly InputMember[] {
    return this.#members(message, "input", patched);
  }

  /** Fields as arguments of a field. */
  args(members: readonly InputMember[]): GraphQLFieldConfigArgumentMap {
    return Object.fromEntries(members.map((member) => [member.name, configOf(member)]));
  }

  #object(message: DescMessage, asked: InputSide): InputObject {
    const side = asked === "patch" && this.#differs(message) ? "patch" : "input";
    const key = `${side} ${message.typeName}`;
    const known = this.#objects.get(key);
    if (known !== undefined) return known;
    const { names, about } = this.#parts;
    let members: readonly InputMember[] | undefined;
    const membersOf = (): readonly InputMember[] => (members ??= this.#members(message, side));
    const type = new GraphQLInputObjectType({
      name: names.claim(names.of(message) + (side === "patch" ? "Patch" : "Input")),
      fields: () =>
        membersOf().length === 0
          ? { _: { type: GraphQLBoolean, description: "It says nothing." } }
          : this.args(membersOf()),
    });
    const made = { type, members: membersOf, read: messageReader(message, membersOf) };
    this.#objects.set(key, made);
    about({
      type,
      desc: message,
      fields: () => new Map(membersOf().map(({ name, member }) => [name, member])),
    });
    return made;
  }

  #members(message: DescMessage, side: InputSide, patched?: DescField): readonly InputMember[] {
    const unions = this.#parts.options.oneofs === "union";
    const members: InputMember[] = [];
    for (const [name, member] of namedMembers(message, unions, (field) => this.#shows(field, side))) {
      const at = member === patched ? "patch" : side;
      members.push(
        member.kind === "oneof" ? this.#oneof(name, member, at) : this.#field(name, member, at, side),
      );
    }
    return members;
  }

  #shows(field: DescField, side: InputSide): boolean {
    const { shown } = this.#parts;
    if (!shown.has(field) || (rolesOf(field).outputOnly && !this.#bound[side].has(field))) return false;
    if (isHttpBody(field.parent) && field.message !== undefined) return false;
    const type = field.message ?? field.enum;
    return type === undefined || shown.has(type);
  }

  #field(name: string, field: DescField, below: InputSide, side: InputSide): InputMember {
    const shape = this.#shape(field, below);
    const { required } = rolesOf(field);
    const mustBe = required && side === "input" && !shape.hasNull && !isEndless(field);
    return {
      name,
      member: field,
      type: mustBe ? nonNull(shape.type) : shape.type,
      isDeprecated: field.deprecated && !mustBe,
      set: setterOf(field, shape),
      below: shape.below,
    };
  }

  #shape(field: DescField, side: InputSide): Shape {
    if (field.fieldKind === "map") return this.#map(field, side);
    const one = this.#one(field, side);
    if (field.fieldKind !== "list") return one;
    const { toMessage, hasNull, type } = one;
    return {
      type: new GraphQLList(hasNull ? type : nonNull(type)),
      toMessage: (value) =>
        (value as readonly unknown[]).map((element, at) => inElement(at, toMessage, element)), // As lists are.
      hasNull: false,
      below: undefined,
    };
  }

  #one(field: DescField, side: InputSide): Shape {
    const leaf = this.#parts.leaves.of(field);
    if (leaf !== undefined) return { ...leaf, below: undefined };
    const { type, read, members } = this.#object(field.message as DescMessage, side); // Else it is a leaf.
    return { type, toMessage: (value) => read(value as InputValues), hasNull: false, below: members };
  }

  #map(field: DescField & { fieldKind: "map" }, side: InputSide): Shape {
    const { leaves, scalars, options } = this.#parts;
    const value = this.#one(field, side);
    const { toMessage } = value;
    if (options.maps === "json" && leaves.of(field) !== undefined) {
      const toKey = mapKeyParser(leaves.scalar(field.mapKey).type);
      return {
        type: scalars.JSON,
        toMessage: (map) => readJsonMap(toKey, value.type, toMessage, map),
        hasNull: false,
        below: undefined,
      };
    }
    return {
      type: new GraphQLList(nonNull(this.#entry(field, value))),
      toMessage: (value) => readEntries(value as readonly Entry[], toMessage), // As the entry type says.
      hasNull: false,
      below: undefined,
    };
  }

  #entry(field: DescField & { fieldKind: "map" }, value: Shape): GraphQLInputObjectType {
    const { leaves, names, about } = this.#parts;
    const isPatch = value.type.toString().endsWith("Patch");
    const key = `${field.toString()} ${String(value.type)}`;
    let type = this.#small.get(key);
    if (type === undefined) {
      const name = `${names.of(field.parent)}${upperCamel(field.name)}Entry${isPatch ? "Patch" : "Input"}`;
      type = new GraphQLInputObjectType({
        name: names.claim(name),
        fields: {
          key: { type: nonNull(leaves.scalar(field.mapKey).type) },
          value: { type: value.hasNull ? value.type : nonNull(value.type) },
        },
      });
      this.#small.set(key, type);
      about({ type, desc: field, fields: () => new Map() });
    }
    return type;
  }

  /** An input of which one member is given. */
  #oneof(name: string, oneof: DescOneof, side: InputSide): InputMember {
    const fields = oneof.fields.filter((field) => this.#shows(field, side));
    const members = new Map(
      fields.map((field) => [fieldName(field), this.#field(fieldName(field), field, side, "patch")]),
    );
    const list = [...members.values()];
    const set = (into: Message, values: unknown): void => {
      if (values === null) return;
      for (const [member, value] of Object.entries(values as InputValues))
        members.get(member)?.set(into, value); // As the type says.
    };
    const type = this.#oneofType(oneof, side, list);
    return { name, member: oneof, type, isDeprecated: false, set, below: () => list };
  }

  #oneofType(oneof: DescOneof, side: InputSide, members: readonly InputMember[]): GraphQLInputObjectType {
    const { names, about } = this.#parts;
    const key = `${oneof.toString()} ${members.map(({ type }) => String(type)).join()}`;
    const known = this.#small.get(key);
    if (known !== undefined) return known;
    const suffix = side === "patch" ? "Patch" : "Input";
    const type = new GraphQLInputObjectType({
      name: names.claim(names.of(oneof.parent) + upperCamel(oneof.name) + suffix),
      isOneOf: true,
      fields: () => this.args(members),
    });
    this.#small.set(key, type);
    about({ type, desc: oneof, fields: () => new Map(members.map(({ name, member }) => [name, member])) });
    return type;
  }

  /** Whether the two sides of a message are not the same. */
  #differs(message: DescMessage): boolean {
    const known = this.#differing.get(message);
    if (known !== undefined) return known;
    const differs = (field: DescField): boolean =>
      (rolesOf(field).required && this.#shows(field, "input")) ||
      this.#shows(field, "input") !== this.#shows(field, "patch");
    const seen = new Set([message]);
    let found = false;
    for (const one of seen) {
      if (one.fields.some(differs)) found = true;
      for (const field of one.fields) if (field.message !== undefined) seen.add(field.message);
    }
    this.#differing.set(message, found);
    return found;
  }
}

/** An element of a map's list. */
interface Entry {
  readonly key: unknown;
  readonly value: unknown;
}

function configOf({ type, isDeprecated }: InputMember): GraphQLInputFieldConfig {
  return { type, ...(isDeprecated && { deprecationReason: noReason }) };
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

function setterOf(field: DescField, { toMessage, hasNull }: Shape): InputMember["set"] {
  return (into, value) => {
    if (value === null && !hasNull) return; // It stays as it is without.
    try {
      setField(into, field, toMessage === undefined ? value : toMessage(value));
    } catch (reason) {
      throw InputRefusal.at(field.name, reason);
    }
  };
}

function inElement(at: number, toMessage: Shape["toMessage"], element: unknown): unknown {
  try {
    return toMessage === undefined ? element : toMessage(element);
  } catch (reason) {
    throw InputRefusal.at(`[${at}]`, reason);
  }
}

function readEntries(entries: readonly Entry[], toMessage: Shape["toMessage"]): Fields {
  const map = new Map<string, unknown>();
  for (const { key, value } of entries) {
    const name = String(key);
    if (map.has(name)) throw new Error(`the key ${JSON.stringify(name)} is given twice`);
    map.set(name, inKey(name, toMessage, value));
  }
  return Object.fromEntries(map);
}

function inKey(name: string, toMessage: Shape["toMessage"], value: unknown): unknown {
  try {
    return toMessage === undefined ? value : toMessage(value);
  } catch (reason) {
    throw InputRefusal.at(`[${JSON.stringify(name)}]`, reason);
  }
}

/** Reads the names of members as keys of a map. */
function mapKeyParser(type: GraphQLLeafType): (name: string) => unknown {
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

function readJsonMap(
  toKey: (name: string) => unknown,
  type: GraphQLInputType,
  toMessage: Shape["toMessage"],
  map: unknown,
): Fields {
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw new Error("expected an object");
  const read = (value: unknown): unknown => readBy(type, value);
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => [
      String(inKey(name, () => toKey(name), name)),
      inKey(
        name,
        (one) => {
          const parsed = read(one);
          return toMessage === undefined ? parsed : toMessage(parsed);
        },
        value,
      ),
    ]),
  );
}

/** Whether a message would need itself, and so on without end, if the field had to be there. */
function isEndless(field: DescField): boolean {
  if (field.fieldKind !== "message") return false;
  const seen = new Set([field.message]);
  for (const message of seen) {
    if (message === field.parent) return true;
    for (const one of message.fields) {
      if (one.fieldKind === "message" && rolesOf(one).required) seen.add(one.message);
    }
  }
  return false;
}

/** The paths of the members that values give, as a mask names them: null clears, an empty object is a path of its own. */
export function* givenPaths(
  values: InputValues,
  members: readonly InputMember[],
  left: ReadonlySet<DescField>,
  at = "",
): Generator<string> {
  for (const { name, member, below } of members) {
    const value = values[name];
    if (value === undefined || (member.kind === "field" && left.has(member))) continue;
    const inside = typeof value === "object" && value !== null ? (value as InputValues) : undefined;
    if (member.kind === "oneof") {
      if (inside !== undefined && below !== undefined) yield* givenPaths(inside, below(), left, at);
      continue;
    }
    const path = at + member.name;
    if (inside === undefined || below === undefined || Object.keys(inside).length === 0) yield path;
    else yield* givenPaths(inside, below(), left, `${path}.`);
  }
}
