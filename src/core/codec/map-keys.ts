import type { ScalarType } from "@bufbuild/protobuf";
import { parseExactInteger } from "./exact-numbers.ts";
import { integerRanges, scalarKind } from "./scalar-kinds.ts";

const integerKey = /^-?[0-9]/;

/**
 * The conversion of a member name to the key of a map field; undefined where the name is no key of this type.
 * Keys are property names: integers in their shortest form, `true` or `false`, strings as they are.
 */
export function mapKeyParser(type: ScalarType): {
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
