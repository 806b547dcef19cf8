import type { ScalarType } from "@bufbuild/protobuf";
import { parseExactInteger } from "./exact-numbers.ts";
import { setOwn } from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { integerRanges, scalarKind } from "./scalar-kinds.ts";

const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * The reader of an array from the reader of its elements, which gives undefined for those that are dropped. `counts`
 * says whether elements count for `maxEntries`.
 */
export function listReader<T>(read: (cursor: JsonCursor) => T, counts: boolean): (cursor: JsonCursor) => T[] {
  return (cursor) => {
    if (cursor.text.charCodeAt(cursor.pos) !== openBracket) cursor.expected("an array");
    const level = cursor.enter();
    const values: T[] = [];
    if (cursor.next() === closeBracket) {
      cursor.leave();
      return values;
    }
    let index = 0;
    do {
      cursor.next();
      cursor.path[level] = index++;
      if (counts) cursor.countEntry();
      const value = read(cursor);
      if (value !== undefined) values.push(value);
    } while (cursor.more(closeBracket));
    return values;
  };
}

/** The reader of a map from the type of its keys and the reader of its values, which gives undefined for those that are dropped. */
export function mapReader<T>(
  keyType: ScalarType,
  read: (cursor: JsonCursor) => T,
): (cursor: JsonCursor) => Record<string, T> {
  const { parse, what } = mapKeyParser(keyType);
  return (cursor) => {
    if (cursor.text.charCodeAt(cursor.pos) !== openBrace) cursor.expected("an object");
    const level = cursor.enter();
    const values: Record<string, T> = {};
    if (cursor.next() === closeBrace) {
      cursor.leave();
      return values;
    }
    let dropped: Set<string> | undefined;
    do {
      const start = cursor.pos;
      const name = cursor.readName();
      cursor.path[level] = name;
      cursor.countEntry();
      const key = parse(name) ?? cursor.expected(`a key that is ${what}`, start);
      if (Object.hasOwn(values, key) || dropped?.has(key)) cursor.refuse("the key stands here twice");
      const value = read(cursor);
      if (value !== undefined) setOwn(values, key, value);
      else (dropped ??= new Set()).add(key);
    } while (cursor.more(closeBrace));
    return values;
  };
}

const integerKey = /^-?[0-9]/;

/**
 * The conversion of a member name to the key of a map field; undefined where the name is no key of this type.
 * Keys are property names: integers in their shortest form, `true` or `false`, strings as they are.
 */
function mapKeyParser(type: ScalarType): {
  parse: (name: string) => string | undefined;
  what: string;
} {
  const kind = scalarKind(type);
  switch (kind) {
    case "string":
      return { parse: (name) => name, what: "a string" };
    case "bool":
      return {
        parse: (name) => (name === "true" || name === "false" ? name : undefined),
        what: "true or false",
      };
    case "int32":
    case "uint32":
    case "int64":
    case "uint64":
      return integerKeyParser(integerRanges[kind]);
    default:
      throw new TypeError(`protobuf has no maps with keys of type ${kind}`);
  }
}

function integerKeyParser({ min, max }: (typeof integerRanges)["int32"]): ReturnType<typeof mapKeyParser> {
  const parse = (name: string): string | undefined => {
    const value = integerKey.test(name) ? parseExactInteger(name) : undefined;
    return value === undefined || value < min || value > max ? undefined : value.toString();
  };
  return { parse, what: `an integer from ${min} to ${max}` };
}
