import {
  type DescField,
  type DescMessage,
  type DescOneof,
  isFieldSet,
  type Message,
} from "@bufbuild/protobuf";
import { Edition, FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import {
  GraphQLBoolean,
  type GraphQLFieldConfig,
  type GraphQLFieldConfigMap,
  GraphQLList,
  GraphQLObjectType,
  type GraphQLNullableOutputType,
  GraphQLUnionType,
} from "graphql";
import { type Fields, oneofOf } from "../../../core/codec/field-shape.ts";
import { rolesOf } from "../../../core/contract/field-roles.ts";
import { isHttpBody } from "../../binding/http-body.ts";
import { nonNull } from "./non-null.ts";
import { type Leaf, noReason } from "./leaves.ts";
import { fieldName, namedMembers, upperCamel } from "./names.ts";
import type { TypeParts } from "./type-parts.ts";
import { written } from "./versions.ts";

/** How a value stands in a field of GraphQL. */
export interface Output {
  /** Without non-null. */
  readonly type: GraphQLNullableOutputType;
  /** Turns the value of a field of a message into that of a field of GraphQL; undefined where it is that already. */
  readonly convert: ((value: unknown) => unknown) | undefined;
  /** Whether it can be null where a value is there. */
  readonly hasNull: boolean;
}

/** A field of a type as a configuration of GraphQL. */
type FieldConfig = GraphQLFieldConfig<unknown, unknown>;

/** Adds fields that are no fields of the message. */
export type FurtherFields = (
  message: DescMessage,
  taken: ReadonlySet<string>,
) => Iterable<readonly [name: string, config: FieldConfig]>;

/** The field of a type that would have none. */
export const emptyField: Readonly<FieldConfig> = Object.freeze({
  type: GraphQLBoolean,
  description: "It is always null.",
});

/** The types of messages in results. */
export class Outputs {
  readonly #parts: TypeParts;
  readonly #further: FurtherFields;
  readonly #objects = new Map<string, GraphQLObjectType>();
  readonly #fieldOutputs = new Map<DescField, Output>();

  constructor(parts: TypeParts, further: FurtherFields) {
    this.#parts = parts;
    this.#further = further;
  }

  /** How the values of a field stand in results, whole. */
  of(field: DescField): Output {
    let output = this.#fieldOutputs.get(field);
    if (output === undefined) this.#fieldOutputs.set(field, (output = this.#whole(field)));
    return output;
  }

  #whole(field: DescField): Output {
    if (field.fieldKind === "map") return this.#map(field);
    const one = this.#one(field);
    if (field.fieldKind !== "list") return one;
    const { convert } = one;
    return {
      type: new GraphQLList(one.hasNull ? one.type : nonNull(one.type)),
      convert: convert && ((value) => (value as readonly unknown[]).map(convert)), // As lists are.
      hasNull: false,
    };
  }

  /** The type of a message. */
  object(message: DescMessage): GraphQLObjectType {
    const known = this.#objects.get(message.typeName);
    if (known !== undefined) return known;
    const members = new Map<string, DescField | DescOneof>();
    const type = new GraphQLObjectType({
      name: this.#parts.names.of(message),
      fields: () => this.#fields(message, members),
    });
    this.#objects.set(message.typeName, type);
    this.#parts.about({ type, desc: message, fields: () => members });
    return type;
  }

  /** Whether results have a field. */
  shows(field: DescField): boolean {
    const { shown } = this.#parts;
    if (rolesOf(field).inputOnly || !shown.has(field)) return false;
    if (isHttpBody(field.parent) && field.message !== undefined) return false;
    const type = field.message ?? field.enum;
    return type === undefined || shown.has(type);
  }

  #fields(
    message: DescMessage,
    members: Map<string, DescField | DescOneof>,
  ): GraphQLFieldConfigMap<unknown, unknown> {
    const fields = new Map<string, FieldConfig>();
    const unions = this.#parts.options.oneofs === "union";
    for (const [name, member] of namedMembers(message, unions, (field) => this.shows(field))) {
      members.set(name, member);
      fields.set(name, member.kind === "oneof" ? this.#union(member) : this.#field(member));
    }
    for (const [name, config] of this.#further(message, new Set(fields.keys()))) fields.set(name, config);
    if (fields.size === 0) fields.set("_", emptyField);
    return Object.fromEntries(fields);
  }

  #field(field: DescField): FieldConfig {
    const { type, convert, hasNull } = this.of(field);
    const isThere = !hasNull && !isOptional(field);
    const read = readerOf(field);
    return {
      type: isThere ? nonNull(type) : type,
      resolve:
        convert === undefined
          ? read
          : (source) => {
              const value = read(source);
              return value === null || value === undefined ? null : convert(value);
            },
      ...(field.deprecated && { deprecationReason: noReason }),
    };
  }

  /** How a whole message stands in results. */
  message(message: DescMessage): Output {
    const leaf = this.#parts.leaves.message(message);
    if (leaf !== undefined) return { type: leaf.type, convert: leaf.toOutput, hasNull: leaf.hasNull };
    return { type: this.object(message), convert: undefined, hasNull: false };
  }

  #one(field: DescField): Output {
    const leaf = this.#parts.leaves.of(field);
    if (leaf !== undefined) return { type: leaf.type, convert: leaf.toOutput, hasNull: leaf.hasNull };
    return { type: this.object(field.message as DescMessage), convert: undefined, hasNull: false }; // Else it is a leaf.
  }

  /** Entries in the order of the message, or one object of JSON. */
  #map(field: DescField & { fieldKind: "map" }): Output {
    const { leaves, names, options, scalars, about } = this.#parts;
    const value = this.#one(field);
    if (options.maps === "json") {
      // What is an object of fields has no JSON without a selection: such maps are entries in any case.
      const leaf = leaves.of(field);
      if (leaf !== undefined) {
        return { type: scalars.JSON, convert: (map) => jsonMap(leaf, map as Fields), hasNull: false };
      }
    }
    const key = leaves.scalar(field.mapKey);
    const toKey = mapKeyReader(key.type);
    const type = new GraphQLObjectType({
      name: names.claim(`${names.of(field.parent)}${upperCamel(field.name)}Entry`),
      fields: {
        key: { type: nonNull(key.type) },
        value: { type: value.hasNull ? value.type : nonNull(value.type) },
      },
    });
    about({ type, desc: field, fields: () => new Map() });
    const { convert } = value;
    return {
      type: new GraphQLList(nonNull(type)),
      convert: (map) =>
        Object.entries(map as Fields).map(([name, one]) => ({
          // As maps are.
          key: toKey(name),
          value: convert === undefined ? one : convert(one),
        })),
      hasNull: false,
    };
  }

  /** A union of an object with one field for each member. */
  #union(oneof: DescOneof): FieldConfig {
    const { names, about } = this.#parts;
    const base = names.of(oneof.parent);
    const typeNames = new Map<string, string>();
    const types = oneof.fields
      .filter((field) => this.shows(field))
      .map((field) => {
        const type = new GraphQLObjectType({
          name: names.claim(base + upperCamel(field.name)),
          fields: () => ({ [fieldName(field)]: this.#memberField(field) }),
        });
        typeNames.set(field.localName, type.name);
        about({ type, desc: undefined, fields: () => new Map([[fieldName(field), field]]) });
        return type;
      });
    const type = new GraphQLUnionType({
      name: names.claim(base + upperCamel(oneof.name)),
      types,
      resolveType: (source) => typeNames.get((source as { case: string }).case), // As `resolve` gives it.
    });
    about({ type, desc: oneof, fields: () => new Map() });
    return {
      type,
      resolve(source) {
        const value = oneofOf(source as Fields, oneof.localName); // Messages of the type of the oneof.
        return value.case === undefined || !typeNames.has(value.case) ? null : value;
      },
    };
  }

  #memberField(field: DescField): FieldConfig {
    const { type, convert, hasNull } = this.of(field);
    return {
      type: hasNull ? type : nonNull(type),
      resolve(source) {
        const { value } = source as { value: unknown }; // As the union has resolved it.
        return convert === undefined ? value : convert(value);
      },
      ...(field.deprecated && { deprecationReason: noReason }),
    };
  }
}

/** Whether a field can be missing in a message. */
function isOptional(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map") return false;
  return field.presence === Presence.EXPLICIT || field.oneof !== undefined;
}

/** Reads the value of a field; null or undefined where it is missing. */
export function readerOf(field: DescField): (source: unknown) => unknown {
  const { localName, oneof } = field;
  if (oneof !== undefined) {
    return (source) => {
      const value = oneofOf(source as Fields, oneof.localName); // Messages of the type of the field.
      return value.case === localName ? value.value : null;
    };
  }
  // Without presence by prototypes, what is missing is undefined.
  const plain = field.parent.file.edition === Edition.EDITION_PROTO3 || !isOptional(field);
  return plain
    ? (source) => (source as Fields)[localName]
    : (source) => (isFieldSet(source as Message, field) ? (source as Fields)[localName] : null);
}

/** Messages have all keys of maps as texts. */
function mapKeyReader({ name }: { readonly name: string }): (key: string) => unknown {
  if (name === "Boolean") return (key) => key === "true";
  return name === "Int" || name === "UInt32" ? Number : String;
}

function jsonMap({ type, toOutput }: Pick<Leaf, "type" | "toOutput">, map: Fields): unknown {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => {
      const shown = toOutput === undefined ? value : toOutput(value);
      return [key, shown === null ? null : written(type, shown)];
    }),
  );
}
