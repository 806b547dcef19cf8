import { type DescEnum, type DescField, type DescMessage, ScalarType, toJson } from "@bufbuild/protobuf";
import {
  type ListValue,
  ListValueSchema,
  StructSchema,
  type Struct,
  type Value,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import {
  GraphQLBoolean,
  GraphQLEnumType,
  type GraphQLEnumValueConfig,
  GraphQLError,
  GraphQLFloat,
  GraphQLInt,
  type GraphQLLeafType,
  GraphQLString,
} from "graphql";
import { isNullValue } from "../../../core/codec/enum-names.ts";
import { formatFloat32 } from "../../../core/codec/exact-numbers.ts";
import { localShape, messageFactory, wrapped } from "../../../core/codec/field-shape.ts";
import { isName, type TypeNames } from "./names.ts";
import { messageOfJson, type Scalars } from "./scalars.ts";
import type { Subject } from "./subject.ts";

/** A type without fields of its own, and how its values stand in messages. */
export interface Leaf {
  readonly type: GraphQLLeafType;
  /** Turns the value of a field into one that `type` writes; undefined where it is that already. */
  readonly toOutput: ((value: unknown) => unknown) | undefined;
  /** Turns what `type` has read into the value of a field; undefined where it is that already. */
  readonly toMessage: ((value: unknown) => unknown) | undefined;
  /** Whether `null` is one of its values. */
  readonly hasNull: boolean;
}

/** Name of the value for numbers that an open enum does not have. */
const unrecognized = "UNRECOGNIZED";

/** The types of values that are no objects of fields. */
export class Leaves {
  readonly #names: TypeNames;
  readonly #scalars: Scalars;
  readonly #about: (subject: Subject) => void;
  readonly #enums = new Map<string, Leaf>();

  /** @param about keeps what a type is about */
  constructor(names: TypeNames, scalars: Scalars, about: (subject: Subject) => void) {
    this.#names = names;
    this.#scalars = scalars;
    this.#about = about;
  }

  /** The type of the values of a field, of its elements or of its map's values; undefined for objects of fields. */
  of(field: DescField): Leaf | undefined {
    if (field.enum !== undefined) return this.#enum(field.enum);
    if (field.message !== undefined) return this.message(field.message, localShape(field)); // As the line says.
    const isText = field.fieldKind !== "map" && "longAsString" in field && field.longAsString;
    return this.scalar(field.scalar ?? ScalarType.STRING, isText);
  }

  /** @param longAsString whether messages have 64-bit integers as texts */
  scalar(type: ScalarType, longAsString = false): Leaf {
    const { Bytes, Int64, UInt32, UInt64 } = this.#scalars;
    const toMessage = longAsString ? String : undefined;
    switch (type) {
      case ScalarType.BOOL:
        return leaf(GraphQLBoolean);
      case ScalarType.STRING:
        return leaf(GraphQLString);
      case ScalarType.BYTES:
        return leaf(Bytes);
      case ScalarType.DOUBLE:
        return leaf(GraphQLFloat);
      case ScalarType.FLOAT:
        return leaf(GraphQLFloat, shortFloat, floatOf);
      case ScalarType.UINT32:
      case ScalarType.FIXED32:
        return leaf(UInt32);
      case ScalarType.UINT64:
      case ScalarType.FIXED64:
        return leaf(UInt64, undefined, toMessage);
      case ScalarType.INT64:
      case ScalarType.SINT64:
      case ScalarType.SFIXED64:
        return leaf(Int64, undefined, toMessage);
      default:
        return leaf(GraphQLInt);
    }
  }

  /** As `of`, for a whole message. @param shape how its value stands where it is */
  message(message: DescMessage, shape: ReturnType<typeof localShape> = "message"): Leaf | undefined {
    const { Timestamp, Duration, FieldMask, JSON, Any } = this.#scalars;
    const inside = wrapped(message);
    if (inside !== undefined)
      return shape === "wrapped" ? this.scalar(inside) : this.#wrapper(message, inside);
    switch (message.typeName) {
      case "google.protobuf.Timestamp":
        return leaf(Timestamp);
      case "google.protobuf.Duration":
        return leaf(Duration);
      case "google.protobuf.FieldMask":
        return leaf(FieldMask);
      case "google.protobuf.Any":
        return leaf(Any);
      // The casts follow from the names.
      case "google.protobuf.Value":
        return {
          type: JSON,
          toOutput: (value) => toJson(ValueSchema, value as Value),
          toMessage: (value) => messageOfJson(ValueSchema, value),
          hasNull: true,
        };
      case "google.protobuf.ListValue":
        return leaf(
          JSON,
          (value) => toJson(ListValueSchema, value as ListValue),
          (value) => messageOfJson(ListValueSchema, value),
        );
      case "google.protobuf.Struct":
        if (shape === "struct") return leaf(JSON, undefined, objectOf);
        return leaf(
          JSON,
          (value) => toJson(StructSchema, value as Struct),
          (value) => messageOfJson(StructSchema, value),
        );
      default:
        return undefined;
    }
  }

  #wrapper(message: DescMessage, inside: ScalarType): Leaf {
    const value = this.scalar(inside);
    const create = messageFactory(message);
    const { toOutput, toMessage } = value;
    return {
      ...value,
      toOutput: (made) => {
        const found = (made as { value: unknown }).value; // As wrappers are.
        return toOutput === undefined ? found : toOutput(found);
      },
      toMessage: (read) =>
        Object.assign(create(), { value: toMessage === undefined ? read : toMessage(read) }),
    };
  }

  #enum(desc: DescEnum): Leaf {
    if (isNullValue(desc))
      return { type: this.#scalars.JSON, toOutput: () => null, toMessage: () => 0, hasNull: true };
    const known = this.#enums.get(desc.typeName);
    if (known !== undefined) return known;
    const numbers = new Map(desc.values.map((value) => [valueName(value.name), value.number]));
    const names = new Map<number, string>();
    for (const [name, number] of numbers) if (!names.has(number)) names.set(number, name);
    const further = desc.open ? freeName(unrecognized, numbers) : undefined;
    const type = new GraphQLEnumType({
      name: this.#names.of(desc),
      values: {
        ...valuesOf(desc),
        ...(further !== undefined && { [further]: { description: aboutUnrecognized } }),
      },
    });
    const made: Leaf = {
      type,
      toOutput: (number) => names.get(number as number) ?? further, // As fields of enums have it.
      toMessage: (name) => {
        const number = numbers.get(name as string); // As `type` has read it.
        if (number === undefined)
          throw new GraphQLError(`${type.name}: ${further} is a value of results only`);
        return number;
      },
      hasNull: false,
    };
    this.#enums.set(desc.typeName, made);
    this.#about({
      type,
      desc,
      fields: () => new Map(desc.values.map((value) => [valueName(value.name), value])),
    });
    return made;
  }
}

/** GraphQL's own text where an element is deprecated without a reason. */
export const noReason = "No longer supported";

const aboutUnrecognized = "A value that the server knows and this schema does not. It is in results only.";

/** The values of an enum by their names, which are what messages are made of too. */
function valuesOf(desc: DescEnum): Record<string, GraphQLEnumValueConfig> {
  return Object.fromEntries(
    desc.values.map(({ name, deprecated }): [string, GraphQLEnumValueConfig] => {
      const value = valueName(name);
      return [value, { value, ...(deprecated && { deprecationReason: noReason }) }];
    }),
  );
}

function leaf(
  type: GraphQLLeafType,
  toOutput?: (value: unknown) => unknown,
  toMessage?: (value: unknown) => unknown,
): Leaf {
  return { type, toOutput, toMessage, hasNull: false };
}

/** The name of a value of an enum: `true`, `false` and `null` are none in GraphQL, nor what begins with `__`. */
export function valueName(name: string): string {
  if (name === "true" || name === "false" || name === "null") return `${name}_`;
  return isName(name) ? name : name.replace(/^_+/, "_");
}

function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  return taken.has(name) ? freeName(`${name}_`, taken) : name;
}

/** The number that reads back as the same float, as REST has it. */
function shortFloat(value: unknown): unknown {
  const number = value as number; // As fields of floats have it.
  return Number.isFinite(number) ? Number(formatFloat32(Math.fround(number))) : number;
}

function floatOf(value: unknown): unknown {
  const float = Math.fround(value as number); // As `Float` has read it.
  if (!Number.isFinite(float)) throw new GraphQLError("Float: the number is too large for 32 bits");
  return float;
}

/** A Struct as fields have it: the JSON object itself. */
function objectOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new GraphQLError("JSON: expected an object here");
  }
  return value;
}
