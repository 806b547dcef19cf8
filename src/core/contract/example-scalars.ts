import { type DescEnum, type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { isMembers } from "../codec/json-members.ts";
import { isWithin, matches, textsOf, textWithin } from "./example-texts.ts";
import { numberFor, textFor } from "./example-words.ts";

/** The names of scalars in `buf.validate`. */
const kinds: Readonly<Record<ScalarType, string>> = {
  [ScalarType.DOUBLE]: "double",
  [ScalarType.FLOAT]: "float",
  [ScalarType.INT64]: "int64",
  [ScalarType.UINT64]: "uint64",
  [ScalarType.INT32]: "int32",
  [ScalarType.FIXED64]: "fixed64",
  [ScalarType.FIXED32]: "fixed32",
  [ScalarType.BOOL]: "bool",
  [ScalarType.STRING]: "string",
  [ScalarType.BYTES]: "bytes",
  [ScalarType.UINT32]: "uint32",
  [ScalarType.SFIXED32]: "sfixed32",
  [ScalarType.SFIXED64]: "sfixed64",
  [ScalarType.SINT32]: "sint32",
  [ScalarType.SINT64]: "sint64",
};

/** Where a scalar stands. */
interface Place {
  /** Name of its field. */
  readonly name: string;
  /** Which of several values. */
  readonly turn: number;
}

/** The rules under a name in others, such as those of texts in those of a field; none where there are none. */
export function rulesOfKind(rules: JsonObject, kind: string): JsonObject {
  const found = rules[kind];
  return isMembers(found) ? found : {};
}

/**
 * A scalar within the rules of its field, as protobuf-es has it.
 *
 * @param rules those of the whole field
 */
export function scalarWithin(scalar: ScalarType, rules: JsonObject, { name, turn }: Place): unknown {
  const kind = kinds[scalar];
  const own = rulesOfKind(rules, kind);
  switch (scalar) {
    case ScalarType.STRING:
      return textWithin(own, name, turn);
    case ScalarType.BYTES:
      return bytesWithin(own, name, turn);
    case ScalarType.BOOL:
      return typeof own["const"] === "boolean" ? own["const"] : turn % 2 === 0;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE: {
      const number = floatWithin(own, numberFor(name, turn) ?? turn + 1.5);
      return scalar === ScalarType.FLOAT ? Math.fround(number) : number;
    }
    default: {
      const hint = Math.trunc(numberFor(name, turn) ?? turn + 1);
      const number = wholeWithin(
        own,
        BigInt(hint),
        kind.startsWith("u") || kind.startsWith("f") ? 0n : undefined,
      );
      return kind.endsWith("64") ? number : Number(number);
    }
  }
}

/** The number of an enum value within the rules of its field: not the first one, which means nothing. */
export function enumWithin(desc: DescEnum, rules: JsonObject, turn: number): number {
  const own = rulesOfKind(rules, "enum");
  if (typeof own["const"] === "number") return own["const"];
  const refused = numbersOf(own["notIn"]);
  const listed = numbersOf(own["in"]);
  const named = desc.values.map(({ number }) => number);
  const told = named.filter((number) => number !== 0);
  const all = listed.length > 0 ? listed : told.length > 0 ? told : named;
  const allowed = all.filter((number) => !refused.includes(number));
  return allowed[turn % Math.max(allowed.length, 1)] ?? named[0] ?? 0;
}

function wholeWithin(rules: JsonObject, hint: bigint, least: bigint | undefined): bigint {
  if (Object.keys(rules).length === 0) return least !== undefined && hint < least ? least : hint; // Most fields have none.
  const { const: constant } = rules;
  if (constant !== undefined) return wholeOf(constant);
  const listed = Array.isArray(rules["in"]) ? rules["in"].map(wholeOf) : [];
  const refused = new Set(Array.isArray(rules["notIn"]) ? rules["notIn"].map(wholeOf) : []);
  const isFree = (number: bigint): boolean => !refused.has(number);
  if (listed.length > 0) return listed.find(isFree) ?? hint;
  const low = boundOf(rules, "gt", "gte", 1n) ?? least;
  const high = boundOf(rules, "lt", "lte", -1n);
  // With the lower bound above the upper one, what lies between them is refused.
  const isOutside = low !== undefined && high !== undefined && low > high;
  const start = isOutside ? (hint >= low || hint <= high ? hint : low) : clamped(hint, low, high);
  for (let step = 0n; step <= BigInt(refused.size); step++) {
    const up = start + step;
    if (isFree(up) && (high === undefined || isOutside || up <= high)) return up;
    const down = start - step;
    if (isFree(down) && (low === undefined || isOutside || down >= low)) return down;
  }
  return start;
}

function boundOf(rules: JsonObject, open: string, closed: string, step: bigint): bigint | undefined {
  if (rules[open] !== undefined) return wholeOf(rules[open]) + step;
  return rules[closed] === undefined ? undefined : wholeOf(rules[closed]);
}

/** A whole number in JSON: a text where it has 64 bits. */
function wholeOf(value: JsonValue): bigint {
  return typeof value === "string" || typeof value === "number" ? BigInt(value) : 0n;
}

function clamped(value: bigint, low: bigint | undefined, high: bigint | undefined): bigint {
  if (low !== undefined && value < low) return low;
  return high !== undefined && value > high ? high : value;
}

function floatWithin(rules: JsonObject, hint: number): number {
  if (rules["const"] !== undefined) return Number(rules["const"]);
  const refused = numbersOf(rules["notIn"]);
  const listed = numbersOf(rules["in"]);
  const low = Number(rules["gt"] ?? rules["gte"] ?? Number.NEGATIVE_INFINITY);
  const high = Number(rules["lt"] ?? rules["lte"] ?? Number.POSITIVE_INFINITY);
  const isHigh = (number: number): boolean => (rules["gt"] === undefined ? number >= low : number > low);
  const isLow = (number: number): boolean => (rules["lt"] === undefined ? number <= high : number < high);
  const isIn = (number: number): boolean =>
    low > high ? isHigh(number) || isLow(number) : isHigh(number) && isLow(number);
  const middle =
    Number.isFinite(low) && Number.isFinite(high) ? [(low + high) / 2, low + (high - low) / 4] : [];
  const tried = [...listed, ...(listed.length === 0 ? [hint, ...middle, low + 1, high - 1, low, high] : [])];
  return tried.find((number) => Number.isFinite(number) && isIn(number) && !refused.includes(number)) ?? hint;
}

function bytesWithin(rules: JsonObject, name: string, turn: number): Uint8Array {
  const given = [rules["const"], ...textsOf(rules["in"]), ...textsOf(rules["example"])];
  const [first] = given.filter((one) => typeof one === "string");
  if (first !== undefined) return new Uint8Array(Buffer.from(first, "base64"));
  if (rules["ip"] === true || rules["ipv4"] === true) return Uint8Array.of(192, 0, 2, (turn % 250) + 1);
  if (rules["ipv6"] === true || rules["uuid"] === true)
    return new Uint8Array(16).fill(1).fill((turn % 250) + 1, 15);
  if (typeof rules["pattern"] === "string") {
    const { pattern } = rules;
    const text = textWithin({ pattern, ...textSizes(rules) }, name, turn);
    if (matches(text, pattern)) return new Uint8Array(Buffer.from(text));
  }
  const [head, part, tail] = [rules["prefix"], rules["contains"], rules["suffix"]].map((one) =>
    Buffer.from(typeof one === "string" ? one : "", "base64"),
  );
  const around = (head?.length ?? 0) + (part?.length ?? 0) + (tail?.length ?? 0);
  const exact = rules["len"];
  const least = Number(exact ?? rules["minLen"] ?? 0);
  const most = Number(exact ?? rules["maxLen"] ?? Number.POSITIVE_INFINITY);
  const text = Buffer.from(textFor(name, turn));
  const size = Math.max(0, Math.min(Math.max(text.length, least - around), most - around));
  const middle = Buffer.alloc(size, text.length === 0 ? "a" : text);
  const bytes = Buffer.concat([head, middle, part, tail].filter((one) => one !== undefined));
  return new Uint8Array(
    isWithin(bytes.length, rules, ["len", "minLen", "maxLen"]) ? bytes : bytes.subarray(0, most),
  );
}

/** Rules of sizes under the names that texts have for them. */
function textSizes({ minLen, maxLen, len }: JsonObject): JsonObject {
  return {
    ...(minLen !== undefined && { minBytes: minLen }),
    ...(maxLen !== undefined && { maxBytes: maxLen }),
    ...(len !== undefined && { lenBytes: len }),
  };
}

function numbersOf(list: JsonValue | undefined): number[] {
  return Array.isArray(list) ? list.map(Number) : [];
}
