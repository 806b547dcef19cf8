import { quoteText } from "../../core/errors/quote-text.ts";
import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { parseBase64 } from "../../core/codec/base64-text.ts";
import { enumNumbers } from "../../core/codec/enum-names.ts";
import { integerRanges, scalarKind } from "../../core/codec/scalar-kinds.ts";
import type { TextForms } from "./text-forms.ts";

/** Parses the text of a path capture or query parameter to values of one kind. */
export interface TextParser<Value = unknown> {
  /** Description of valid texts: the end of a sentence that begins with "expected". */
  readonly expected: string;
  /** The value in the representation of messages, lists and maps; undefined if the text is no valid value. */
  readonly parse: (text: string) => Value | undefined;
  /** For enums: whether a text is a name, known or unknown, and not a number. */
  readonly isName?: (text: string) => boolean;
}

const startOfNumber = /^-?[0-9]/;
const integerText = /^-?(?:0|[1-9][0-9]*)$/;
const numberText = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Length of the longest 64-bit integer with its sign: longer texts are out of range and are not converted. */
const longestInteger = 20;

/** Most names of an enum that an error lists. */
const listedNames = 10;

/** The parser for a scalar type. `longAsString`: 64-bit integers are strings, as with `jstype = JS_STRING`. */
export function scalarParser(type: ScalarType, longAsString = false): TextParser {
  const kind = scalarKind(type);
  switch (kind) {
    case "string":
      return { expected: "a text", parse: (text) => text };
    case "bool":
      return { expected: "true or false", parse: parseBool };
    case "bytes":
      return { expected: "bytes as standard or URL-safe base64", parse: parseBase64 };
    case "double":
      return { expected: "a number in the range of a double", parse: parseDouble };
    case "float":
      return { expected: "a number in the range of a float", parse: parseFloat32 };
    case "int32":
    case "uint32":
      return integerParser(Number(integerRanges[kind].min), Number(integerRanges[kind].max));
    case "int64":
    case "uint64":
      return longParser(integerRanges[kind].min, integerRanges[kind].max, longAsString);
  }
}

/** The parser for the keys of a map field: scalars, converted to property names. */
export function mapKeyParser(type: ScalarType): TextParser<string> {
  const { expected, parse } = scalarParser(type);
  return {
    expected,
    parse: (text) => {
      const key = parse(text) as string | number | bigint | boolean | undefined; // The types of map keys.
      return key?.toString();
    },
  };
}

/** The parser for an enum: accepts names, the numbers of its values, and any number if the enum is open. */
export function enumParser(desc: DescEnum, forms: TextForms): TextParser {
  const anyCase = forms.enumAnyCase;
  const byName = new Map<string, number>();
  for (const [name, number] of enumNumbers(desc)) byName.set(anyCase ? name.toLowerCase() : name, number);
  if (forms.enumShortNames) addShortNames(desc, byName, anyCase);
  const number = scalarParser(ScalarType.INT32);
  const names = desc.values.map(({ name }) => name);
  const listed = names.slice(0, listedNames).join(", ");
  return {
    expected:
      names.length <= listedNames ? `one of ${listed}` : `a value of ${desc.typeName} such as ${listed}`,
    parse: (text) => {
      const named = byName.get(anyCase ? text.toLowerCase() : text);
      if (named !== undefined) return named;
      const value = number.parse(text);
      return desc.open || (typeof value === "number" && desc.value[value] !== undefined) ? value : undefined;
    },
    isName: (text) => !startOfNumber.test(text),
  };
}

function addShortNames(desc: DescEnum, byName: Map<string, number>, anyCase: boolean): void {
  const prefix = desc.sharedPrefix?.length ?? 0;
  for (const { name, number } of desc.values) {
    const short = anyCase ? name.slice(prefix).toLowerCase() : name.slice(prefix);
    if (!byName.has(short)) byName.set(short, number);
  }
}

/** The description of an invalid value, for a violation. */
export function unexpectedText(parser: TextParser, text: string): string {
  return `expected ${parser.expected}, found ${quoteText(text)}`;
}

function integerParser(min: number, max: number): TextParser {
  const parse = (text: string): number | undefined => {
    if (!integerText.test(text)) return undefined;
    const value = Number(text) + 0; // Adding 0 turns -0 into 0.
    return value >= min && value <= max ? value : undefined;
  };
  return { expected: `an integer from ${min} to ${max}`, parse };
}

function longParser(min: bigint, max: bigint, asString: boolean): TextParser {
  const parse = (text: string): bigint | string | undefined => {
    if (text.length > longestInteger || !integerText.test(text)) return undefined;
    const value = BigInt(text);
    if (value < min || value > max) return undefined;
    return asString ? value.toString() : value;
  };
  return { expected: `an integer from ${min} to ${max}`, parse };
}

function parseBool(text: string): boolean | undefined {
  switch (text.length <= 5 ? text.toLowerCase() : text) {
    case "true":
    case "1":
      return true;
    case "false":
    case "0":
      return false;
    default:
      return undefined;
  }
}

function parseDouble(text: string): number | undefined {
  switch (text) {
    case "NaN":
      return NaN;
    case "Infinity":
      return Infinity;
    case "-Infinity":
      return -Infinity;
    default: {
      const value = numberText.test(text) ? Number(text) : NaN;
      return Number.isFinite(value) ? value : undefined;
    }
  }
}

function parseFloat32(text: string): number | undefined {
  const value = parseDouble(text);
  if (value === undefined) return undefined;
  const rounded = Math.fround(value);
  return Number.isFinite(value) && !Number.isFinite(rounded) ? undefined : rounded;
}
