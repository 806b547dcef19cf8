import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import type { CodeBuilder } from "./generated-code.ts";
import { enumNumbers } from "./read-enums.ts";
import { full, irregular, seen, slack } from "./scratch.ts";
import { skipJson, skipSpace, takeBool, takeBoolKey, takeColon, takeNext, takeNull } from "./take-json.ts";
import { type EnumNames, enumNames, takeEnum } from "./take-json-enum.ts";
import {
  seenInt64,
  seenUint64,
  takeDouble,
  takeFloat,
  takeInt32,
  takeInt64,
  takeUint32,
  takeUint64,
} from "./take-json-numbers.ts";
import { takeBytes, takeText } from "./take-json-text.ts";
import { takeDuration, takeTimestamp } from "./take-json-time.ts";

/** What all code that reads JSON uses, by name. It has `s` for the input, `sv` for its view, `i` for the position. */
export const parserBindings = {
  full,
  irregular,
  seen,
  slack,
  seenInt64,
  seenUint64,
  skipJson,
  skipSpace,
  takeBool,
  takeBoolKey,
  takeBytes,
  takeColon,
  takeDouble,
  takeDuration,
  takeEnum,
  takeFloat,
  takeInt32,
  takeInt64,
  takeNext,
  takeNull,
  takeText,
  takeTimestamp,
  takeUint32,
  takeUint64,
};

/** Makes the code that reads the value of one field at `i`, puts it where it belongs and moves `i` behind it. */
export type ValueParser = (field: DescField, code: CodeBuilder) => string;

/**
 * Code that reads the members of an object from its opening brace at `i` on, in any order, and leaves `i` behind its
 * closing brace. `d` is how many more containers may be open.
 */
export function parseMembers(desc: DescMessage, code: CodeBuilder, value: ValueParser): string[] {
  const spellings = spellingsOf(desc);
  const lines = [
    "if (s[i] !== 123 || d < 1) throw irregular;",
    "if (s[++i] <= 32) i = skipSpace(s, i);",
    ...desc.oneofs.map((_, index) => `let o${index} = false;`),
  ];
  for (let word = 0; word * 31 < desc.fields.length; word++) lines.push(`let f${word} = 0;`);
  lines.push(
    "let w = 0;",
    "if (s[i] === 125) i++;",
    "else for (;;) {",
    "const from = i;",
    "w = sv.getInt32(i, true);",
  );
  for (const [index, field] of desc.fields.entries()) {
    const names = spellings.get(index);
    if (names !== undefined) lines.push(parseMember({ field, index, names }, code, value));
  }
  // A name that is unknown or written in another way.
  lines.push("if (i === from) throw irregular;", "}");
  return lines;
}

interface Member {
  readonly field: DescField;
  readonly index: number;
  readonly names: readonly string[];
}

function parseMember({ field, index, names }: Member, code: CodeBuilder, value: ValueParser): string {
  const [word, bit] = [`f${Math.floor(index / 31)}`, 1 << (index % 31)];
  const once = `if ((${word} & ${bit}) !== 0) throw irregular; ${word} |= ${bit};`;
  const oneof =
    field.oneof === undefined ? "" : `if (o${desc(field)}) throw irregular; o${desc(field)} = true;`;
  const read = `${oneof} ${value(field, code)}`;
  const nullable = takesNull(field) ? read : `if (s[i] === 110) i = takeNull(s, i); else { ${read} }`;
  const tail = "i = takeNext(s, i, 125); if (i < 0) { i = ~i; break; } w = sv.getInt32(i, true);";
  const found = names.map((name) => matchName(name));
  const lengths = names.map((name) => nameBytes(name).length);
  const step =
    lengths.length === 1 || lengths[0] === lengths[1]
      ? `i += ${lengths[0]};`
      : `i += ${found[0]?.test} ? ${lengths[0]} : ${lengths[1]};`;
  const test = found.map((match) => match.test).join(" || ");
  return `if (${test}) { ${step} if (s[i] <= 32) i = skipSpace(s, i); ${once} ${nullable} ${tail} }`;
}

function desc(field: DescField): number {
  return field.oneof === undefined ? -1 : field.parent.oneofs.indexOf(field.oneof);
}

function takesNull(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map") return false;
  return (
    field.message?.typeName === "google.protobuf.Value" ||
    field.enum?.typeName === "google.protobuf.NullValue"
  );
}

/** The name in quotes with its colon, as compact writers print it. */
function nameBytes(name: string): Buffer {
  return Buffer.from(`${JSON.stringify(name)}:`);
}

/** A test for a name at `i`, whose first four bytes are in `w` already. */
function matchName(name: string): { test: string } {
  const bytes = nameBytes(name);
  const tests = [`w === ${bytes.readInt32LE(0)}`];
  for (let at = 4; at < bytes.length; at += 4) {
    const start = Math.min(at, bytes.length - 4);
    tests.push(`sv.getInt32(i + ${start}, true) === ${bytes.readInt32LE(start)}`);
  }
  return { test: `(${tests.join(" && ")})` };
}

/** The names of each field by its index; a name that two fields have is the later one's, as for the other reader. */
function spellingsOf(desc: DescMessage): Map<number, string[]> {
  const owners = new Map<string, number>();
  for (const [index, field] of desc.fields.entries()) {
    owners.set(field.name, index);
    owners.set(field.jsonName, index);
  }
  const spellings = new Map<number, string[]>();
  for (const [index, field] of desc.fields.entries()) {
    const names = [...new Set([field.jsonName, field.name])];
    // Four bytes are compared at once; no name is shorter but the empty one.
    const own = names.filter((name) => owners.get(name) === index && nameBytes(name).length >= 4);
    if (own.length > 0) spellings.set(index, own);
  }
  return spellings;
}

/** Code that puts what a function makes of the JSON at `i` into `x`. */
export function parseByDetour(parse: (json: string, depth: number) => unknown, code: CodeBuilder): string {
  const end = code.unique();
  return `const ${end} = skipJson(s, i); x = ${code.bind(parse)}(s.toString("utf8", i, ${end}), d); i = ${end};`;
}

/** Code that reads an array: `element` for each of its values. */
export function parseList(element: string): string {
  return `if (s[i] !== 91 || d < 2) throw irregular; if (s[++i] <= 32) i = skipSpace(s, i); if (s[i] === 93) i++; else for (;;) { ${element} i = takeNext(s, i, 93); if (i < 0) { i = ~i; break; } }`;
}

/** Code that reads the object of a map: `key` for each name, then `value`, then `done`. */
export function parseMap(key: string, value: string, done: string): string {
  return `if (s[i] !== 123 || d < 2) throw irregular; if (s[++i] <= 32) i = skipSpace(s, i); if (s[i] === 125) i++; else for (;;) { if (s[i] !== 34 || --seen.left < 0) throw irregular; ${key} i = takeColon(s, i); ${value} ${done} i = takeNext(s, i, 125); if (i < 0) { i = ~i; break; } }`;
}

/** The names of an enum as the generated code takes them. */
export function enumTable(desc: DescEnum): EnumNames {
  const isNull = desc.typeName === "google.protobuf.NullValue";
  const numbers = desc.open || isNull ? undefined : new Set(desc.values.map((value) => value.number));
  return enumNames(enumNumbers(desc), numbers, isNull);
}
