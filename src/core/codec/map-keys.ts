import { ScalarType } from "@bufbuild/protobuf";
import { parseExactInteger } from "./exact-numbers.ts";

const int32Range = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const uint32Range = [0n, 2n ** 32n - 1n] as const;
const int64Range = [-(2n ** 63n), 2n ** 63n - 1n] as const;
const uint64Range = [0n, 2n ** 64n - 1n] as const;

const integerKey = /^-?[0-9]/;

/**
 * The conversion of a member name to the key of a map field; undefined where the name is no key of this type.
 * Keys are property names: integers in their shortest form, `true` or `false`, strings as they are.
 */
export function mapKeyParser(type: ScalarType): {
  parse: (name: string) => string | undefined;
  what: string;
} {
  switch (type) {
    case ScalarType.STRING:
      return { parse: (name) => name, what: "a string" };
    case ScalarType.BOOL:
      return {
        parse: (name) => (name === "true" || name === "false" ? name : undefined),
        what: "true or false",
      };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return integerKeyParser(...int64Range);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerKeyParser(...uint64Range);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integerKeyParser(...uint32Range);
    default:
      return integerKeyParser(...int32Range);
  }
}

function integerKeyParser(min: bigint, max: bigint): ReturnType<typeof mapKeyParser> {
  const parse = (name: string): string | undefined => {
    const value = integerKey.test(name) ? parseExactInteger(name) : undefined;
    return value === undefined || value < min || value > max ? undefined : value.toString();
  };
  return { parse, what: `an integer from ${min} to ${max}` };
}
