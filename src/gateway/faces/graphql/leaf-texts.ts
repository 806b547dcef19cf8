import {
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLFloat,
  GraphQLInt,
  type GraphQLLeafType,
  GraphQLString,
} from "graphql";
import { isPlainText } from "../../../core/codec/write-scalars.ts";
import { irregular, type WriteValue } from "./value-walk.ts";
import { written } from "./versions.ts";

/** What writes the values of a leaf type as JSON. */
export function leafWriter(type: GraphQLLeafType): WriteValue {
  if (type === GraphQLString) return writeText;
  if (type === GraphQLInt) return writeInt;
  if (type === GraphQLFloat) return writeFloat;
  if (type === GraphQLBoolean) return writeBoolean;
  return type instanceof GraphQLEnumType ? enumWriter(type) : scalarWriter(type);
}

const writeText: WriteValue = (value, walk) => {
  if (typeof value !== "string") throw irregular;
  walk.text += isPlainText(value) ? `"${value}"` : JSON.stringify(value);
};

const writeInt: WriteValue = (value, walk) => {
  if (typeof value !== "number" || (value | 0) !== value) throw irregular;
  walk.text += value;
};

const writeFloat: WriteValue = (value, walk) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw irregular;
  walk.text += value;
};

const writeBoolean: WriteValue = (value, walk) => {
  if (typeof value !== "boolean") throw irregular;
  walk.text += value;
};

function enumWriter(type: GraphQLEnumType): WriteValue {
  const texts = new Map(type.getValues().map(({ value, name }) => [value as unknown, JSON.stringify(name)]));
  return (value, walk) => {
    const text = texts.get(value);
    if (text === undefined) throw irregular;
    walk.text += text;
  };
}

function scalarWriter(type: GraphQLLeafType): WriteValue {
  return (value, walk) => {
    const text = JSON.stringify(written(type, value)) as string | undefined; // Undefined for what is no JSON.
    if (text === undefined || text === "null") throw irregular;
    walk.text += text;
  };
}
