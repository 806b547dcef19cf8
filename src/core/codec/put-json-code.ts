import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { type CodeBuilder, literal } from "./generated-code.ts";
import {
  isSafeInt64,
  putBigInt,
  putDouble,
  putFloat,
  putInt64,
  putInteger,
  putUint64,
} from "./put-json-numbers.ts";
import { putAscii, putBase64, putBytes, putText, putUnicode, putUtf8 } from "./put-json-text.ts";
import { putDuration, putTimestamp } from "./put-json-time.ts";
import { full, irregular, seen, slack } from "./scratch.ts";
import type { WriteFormat } from "./write-message.ts";

/** What all code that writes JSON uses, by name. The code has `b` for the output, `v` for its view, `p` for the position. */
export const outputBindings = {
  full,
  irregular,
  seen,
  isSafeInt64,
  putAscii,
  putBase64,
  putBigInt,
  putBytes,
  putDouble,
  putDuration,
  putFloat,
  putInt64,
  putInteger,
  putText,
  putTimestamp,
  putUint64,
  putUnicode,
  putUtf8,
};

/** Longest constant that is written word by word. */
const longestInline = 48;

/** Code that appends a constant text. */
export function putConstant(text: string, code: CodeBuilder): string {
  const bytes = Buffer.from(text);
  const { length } = bytes;
  if (length === 0) return "";
  if (length > longestInline) return `p = putBytes(${code.bind(bytes)}, b, p);`;
  const room = `if (p + ${length + slack} > b.length) throw full;`;
  if (length < 4)
    return `${room} ${[...bytes].map((byte, at) => `b[p + ${at}] = ${byte};`).join(" ")} p += ${length};`;
  const words: string[] = [];
  for (let at = 0; at < length; at += 4) {
    // The last word overlaps the one before.
    const start = Math.min(at, length - 4);
    words.push(`v.setInt32(p + ${start}, ${bytes.readInt32LE(start)}, true);`);
  }
  return `${room} ${words.join(" ")} p += ${length};`;
}

/** The name of a member with a comma before it and its colon: the first comma becomes the opening brace. */
export function memberStart(field: DescField, format: WriteFormat): string {
  return `,${JSON.stringify(format.fieldNames === "json" ? field.jsonName : field.name)}:`;
}

/** Code that ends an object or array which began at the variable `start`; the comma there becomes the bracket. */
export function putEnd(start: string, brackets: "{}" | "[]"): string {
  const [open = 0, close = 0] = Buffer.from(brackets);
  return `if (p === ${start}) p++; b[${start}] = ${open}; b[p++] = ${close};`;
}

/** What the text of a scalar stands in: quotes, or nothing. */
export function scalarQuote(type: ScalarType, format: WriteFormat): string {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '"';
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return format.int64 === "string" ? '"' : "";
    default:
      return "";
  }
}

/** Code that appends a boolean. */
export function putBoolean(value: string): string {
  const [yes, no] = ["true", "fals"].map((text) => Buffer.from(text).readInt32LE());
  return `if (${value}) { v.setInt32(p, ${yes}, true); p += 4; } else { v.setInt32(p, ${no}, true); b[p + 4] = 101; p += 5; }`;
}

/** Code that appends an enum value by its number. Numbers that a closed enum does not have are irregular. */
export function putEnum(desc: DescEnum, value: string, format: WriteFormat, code: CodeBuilder): string {
  const isNull = desc.typeName === "google.protobuf.NullValue";
  const table = code.bind(enumTexts(desc, format));
  const text = code.unique();
  const other = isNull
    ? 'p = putAscii("null", b, p);'
    : desc.open
      ? `p = putInteger(${value}, b, p);`
      : "throw irregular;";
  return `{ const ${text} = ${table}.get(${value}); if (${text} !== undefined) p = putBytes(${text}, b, p); else ${other} }`;
}

function enumTexts(desc: DescEnum, format: WriteFormat): EnumTexts {
  const texts = new Map<number, Uint8Array>();
  for (const value of desc.values) {
    if (!texts.has(value.number)) texts.set(value.number, Buffer.from(enumText(desc, value.number, format)));
  }
  return new EnumTexts(texts);
}

/** The texts of an enum's numbers: an array for the small ones, which most are. */
class EnumTexts {
  readonly #small: readonly (Uint8Array | undefined)[];
  readonly #others: ReadonlyMap<number, Uint8Array>;

  constructor(texts: ReadonlyMap<number, Uint8Array>) {
    this.#small = Array.from({ length: 64 }, (_, number) => texts.get(number));
    this.#others = texts;
  }

  get(number: number): Uint8Array | undefined {
    return number >= 0 && number < 64 ? this.#small[number] : this.#others.get(number);
  }
}

/** The JSON text of an enum's number. */
export function enumText(desc: DescEnum, number: number, format: WriteFormat): string {
  if (desc.typeName === "google.protobuf.NullValue") return "null";
  const value = desc.values.find((candidate) => candidate.number === number);
  return value === undefined || format.enums === "number" ? String(number) : JSON.stringify(value.jsonName);
}

/** The JSON text of a field without presence, a list or a map at its default. */
export function defaultText(field: DescField, format: WriteFormat): string {
  if (field.fieldKind === "list") return "[]";
  if (field.fieldKind === "map") return "{}";
  if (field.enum !== undefined) return enumText(field.enum, field.enum.values[0]?.number ?? 0, format);
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '""';
    case ScalarType.BOOL:
      return "false";
    default: {
      const quote = scalarQuote(field.scalar ?? ScalarType.INT32, format);
      return `${quote}0${quote}`;
    }
  }
}

/** A name as the index of a property. */
export function property(object: string, name: string): string {
  return `${object}[${literal(name)}]`;
}
