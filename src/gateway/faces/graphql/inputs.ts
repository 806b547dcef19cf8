import type { DescField, DescMessage, DescOneof, Message } from "@bufbuild/protobuf";
import {
  GraphQLBoolean,
  type GraphQLFieldConfigArgumentMap,
  type GraphQLInputFieldConfig,
  GraphQLInputObjectType,
  GraphQLList,
} from "graphql";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import { isHttpBody } from "../../binding/http-body.ts";
import {
  type Entry,
  type InputMember,
  type InputValues,
  mapKeyParser,
  messageReader,
  readElements,
  readEntries,
  readJsonMap,
  setterOf,
  type Shape,
} from "./input-values.ts";
import { nonNull } from "./non-null.ts";
import { noReason } from "./leaves.ts";
import { namedMembers, fieldName, upperCamel } from "./names.ts";
import type { TypeParts } from "./type-parts.ts";

/** What an input is of: a request, or a part of which a mask says which fields count, so that none has to be there. */
export type InputSide = "input" | "patch";

/** Fields that only the server sets, and that the path of a route binds nevertheless, by the side that has them. */
export type BoundFields = Readonly<Record<InputSide, ReadonlySet<DescField>>>;

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
  readonly #inputs = new Map<DescMessage, readonly InputMember[]>();
  readonly #differing = new Map<DescMessage, boolean>();

  constructor(parts: TypeParts, bound: BoundFields) {
    this.#parts = parts;
    this.#bound = bound;
  }

  /** The fields of a request. @param patched the field of which a mask says what counts; undefined for none */
  members(message: DescMessage, patched?: DescField): readonly InputMember[] {
    return patched === undefined ? this.#allMembers(message) : this.#members(message, "input", patched);
  }

  /** The fields of a message as an input. */
  #allMembers(message: DescMessage): readonly InputMember[] {
    let members = this.#inputs.get(message);
    if (members === undefined) this.#inputs.set(message, (members = this.#members(message, "input")));
    return members;
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
    const membersOf = (): readonly InputMember[] =>
      (members ??= side === "input" ? this.#allMembers(message) : this.#members(message, side));
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
      toMessage: (value) => readElements(value as readonly unknown[], toMessage), // As lists are.
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

function configOf({ type, isDeprecated }: InputMember): GraphQLInputFieldConfig {
  return { type, ...(isDeprecated && { deprecationReason: noReason }) };
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
