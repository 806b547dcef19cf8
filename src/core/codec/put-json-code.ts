import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { enumTexts, isNullValue } from "./enum-names.ts";
import { firstNumber } from "./field-defaults.ts";
import type { CodeBuilder } from "./generated-code.ts";
import type { WriteFormat } from "./message-writer.ts";
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
import { type ScalarKind, scalarKind } from "./scalar-kinds.ts";
import { full, irregular, seen, slack } from "./scratch.ts";

/** What all code that puts JSON uses, by name. The code has `b` for the output, `v` for its view, `p` for the position. */
export const putJsonBindings = {
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
export function scalarQuote(kind: ScalarKind, format: WriteFormat): string {
  switch (kind) {
    case "string":
    case "bytes":
      return '"';
    case "int64":
    case "uint64":
      return format.int64 === "string" ? '"' : "";
    default:
      return "";
  }
}

/** Code that appends the text of a scalar in `x` (of 64 bits: in `seen`) without quotes. */
export function putScalar(kind: Exclude<ScalarKind, "string" | "bytes">): string {
  switch (kind) {
    case "bool":
      return putBoolean("x");
    case "double":
      return "p = putDouble(x, b, p);";
    case "float":
      return "p = putFloat(x, b, p);";
    case "int32":
    case "uint32":
      return "if (x >= 0 && x < 10) b[p++] = 48 + x; else p = putInteger(x, b, p);";
    case "int64":
      return "p = putInt64(seen.low, seen.high, b, p);";
    case "uint64":
      return "p = putUint64(seen.low, seen.high, b, p);";
  }
}

/** Code that appends a 64-bit integer and its quotes, but for the one before it if all have one: `digits` appends its digits. */
export function putLong(digits: string, isSafe: string, { int64 }: WriteFormat): string {
  if (int64 === "string") return `${digits} b[p++] = 34;`;
  if (int64 === "number") return digits;
  return `if (${isSafe}) { ${digits} } else { b[p++] = 34; ${digits} b[p++] = 34; }`;
}

/** Code that appends a boolean. */
export function putBoolean(value: string): string {
  const [yes, no] = ["true", "fals"].map((text) => Buffer.from(text).readInt32LE());
  return `if (${value}) { v.setInt32(p, ${yes}, true); p += 4; } else { v.setInt32(p, ${no}, true); b[p + 4] = 101; p += 5; }`;
}

/** Code that appends the enum value whose number is in `x`. Numbers that a closed enum does not have are irregular. */
export function putEnum(desc: DescEnum, format: WriteFormat, code: CodeBuilder): string {
  const table = code.bind(new EnumBytes(enumTexts(desc, format.enums)));
  const text = code.unique();
  const other = isNullValue(desc)
    ? 'p = putAscii("null", b, p);'
    : desc.open
      ? "p = putInteger(x, b, p);"
      : "throw irregular;";
  return `{ const ${text} = ${table}.get(x); if (${text} !== undefined) p = putBytes(${text}, b, p); else ${other} }`;
}

/** The JSON of an enum's numbers as bytes: an array for the small ones, which most are. */
class EnumBytes {
  readonly #small: readonly (Uint8Array | undefined)[];
  readonly #others: ReadonlyMap<number, Uint8Array>;

  constructor(texts: ReadonlyMap<number, string>) {
    this.#others = new Map([...texts].map(([number, text]) => [number, Buffer.from(text)]));
    this.#small = Array.from({ length: 64 }, (_, number) => this.#others.get(number));
  }

  get(number: number): Uint8Array | undefined {
    return number >= 0 && number < 64 ? this.#small[number] : this.#others.get(number);
  }
}

/** The JSON text of a field without presence, a list or a map at its default. */
export function defaultText(field: DescField, format: WriteFormat): string {
  if (field.fieldKind === "list") return "[]";
  if (field.fieldKind === "map") return "{}";
  if (field.enum !== undefined) {
    return enumTexts(field.enum, format.enums).get(firstNumber(field.enum)) ?? "0";
  }
  const kind = scalarKind(field.scalar ?? ScalarType.STRING);
  switch (kind) {
    case "string":
    case "bytes":
      return '""';
    case "bool":
      return "false";
    default: {
      const quote = scalarQuote(kind, format);
      return `${quote}0${quote}`;
    }
  }
}
