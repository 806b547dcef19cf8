import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { takesNull } from "./field-shape.ts";
import { type CodeBuilder, declareOneofs, takeOneof } from "./generated-code.ts";
import { seenInt64, seenUint64 } from "./int64-halves.ts";
import type { ScalarKind } from "./scalar-kinds.ts";
import { full, irregular, seen, slack } from "./scratch.ts";
import { enumNames, takeEnum } from "./take-json-enum.ts";
import { takeDouble, takeFloat, takeInt32, takeInt64, takeUint32, takeUint64 } from "./take-json-numbers.ts";
import { takeBytes, takeText } from "./take-json-text.ts";
import { takeDuration, takeTimestamp } from "./take-json-time.ts";
import { skipJson, skipSpace, takeBool, takeBoolKey, takeColon, takeNext, takeNull } from "./take-json.ts";

/** What all code that takes JSON uses, by name. It has `s` for the input, `sv` for its view, `i` for the position. */
export const takeJsonBindings = {
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

/** Makes the code that takes the value of one field at `i`, stores it and moves `i` behind it. */
export type TakeValue = (field: DescField, code: CodeBuilder) => string;

/**
 * Code that takes the members of an object, in any order, from its opening brace at `i` on; `i` is behind its closing
 * brace then. `d` is how many more containers may be open.
 */
export function takeMembers(desc: DescMessage, code: CodeBuilder, value: TakeValue): string[] {
  const spellings = spellingsOf(desc);
  const lines = [
    "if (s[i] !== 123 || d < 1) throw irregular;",
    "if (s[++i] <= 32) i = skipSpace(s, i);",
    declareOneofs(desc),
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
    if (names !== undefined) lines.push(takeMember({ field, index, names }, code, value));
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

function takeMember({ field, index, names }: Member, code: CodeBuilder, value: TakeValue): string {
  const [word, bit] = [`f${Math.floor(index / 31)}`, 1 << (index % 31)];
  const once = `if ((${word} & ${bit}) !== 0) throw irregular; ${word} |= ${bit};`;
  const read = `${takeOneof(field)} ${value(field, code)}`;
  const nullable = takesNull(field) ? read : `if (s[i] === 110) i = takeNull(s, i); else { ${read} }`;
  const tail = "i = takeNext(s, i, 125); if (i < 0) { i = ~i; break; } w = sv.getInt32(i, true);";
  const tests = names.map(nameTest);
  const lengths = names.map((name) => nameBytes(name).length);
  const step =
    lengths.length === 1 || lengths[0] === lengths[1]
      ? `i += ${lengths[0]};`
      : `i += ${tests[0]} ? ${lengths[0]} : ${lengths[1]};`;
  return `if (${tests.join(" || ")}) { ${step} if (s[i] <= 32) i = skipSpace(s, i); ${once} ${nullable} ${tail} }`;
}

/** The name in quotes with its colon, as compact writers print it. */
function nameBytes(name: string): Buffer {
  return Buffer.from(`${JSON.stringify(name)}:`);
}

/** A test for a name at `i`, whose first four bytes are in `w` already. */
function nameTest(name: string): string {
  const bytes = nameBytes(name);
  const tests = [`w === ${bytes.readInt32LE(0)}`];
  for (let at = 4; at < bytes.length; at += 4) {
    const start = Math.min(at, bytes.length - 4);
    tests.push(`sv.getInt32(i + ${start}, true) === ${bytes.readInt32LE(start)}`);
  }
  return `(${tests.join(" && ")})`;
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

/** Code that calls a function with the JSON at `i`, and takes its result into `x`. */
export function takeByDetour(parse: (json: string, depth: number) => unknown, code: CodeBuilder): string {
  const end = code.unique();
  return `const ${end} = skipJson(s, i); x = ${code.bind(parse)}(s.toString("utf8", i, ${end}), d); i = ${end};`;
}

/** Code that takes an array: `element` for each of its values. */
export function takeList(element: string): string {
  return `if (s[i] !== 91 || d < 2) throw irregular; if (s[++i] <= 32) i = skipSpace(s, i); if (s[i] === 93) i++; else for (;;) { ${element} i = takeNext(s, i, 93); if (i < 0) { i = ~i; break; } }`;
}

/** Code that takes the object of a map: `key` for each name, then `value`, then `done`. */
export function takeMap(key: string, value: string, done: string): string {
  return `if (s[i] !== 123 || d < 2) throw irregular; if (s[++i] <= 32) i = skipSpace(s, i); if (s[i] === 125) i++; else for (;;) { if (s[i] !== 34 || --seen.left < 0) throw irregular; ${key} i = takeColon(s, i); ${value} ${done} i = takeNext(s, i, 125); if (i < 0) { i = ~i; break; } }`;
}

/** Code that takes the value of an enum into `x`. */
export function takeEnumValue(desc: DescEnum, code: CodeBuilder): string {
  return `x = takeEnum(s, i, ${code.bind(enumNames(desc))}); i = seen.pos;`;
}

/** Code that takes the name of a member that is the boolean key of a map into `x`. Integers may be in quotes anywhere. */
export const takeBoolName = "x = takeBoolKey(s, i); i = seen.pos;";

/** Code that takes a scalar into `x`; of 64-bit integers it takes the halves into `seen`. */
export function takeScalar(kind: Exclude<ScalarKind, "string" | "bytes">): string {
  switch (kind) {
    case "bool":
      return "x = takeBool(s, i); i = seen.pos;";
    case "double":
      return "x = takeDouble(s, i); i = seen.pos;";
    case "float":
      return "x = takeFloat(s, i); i = seen.pos;";
    case "int32":
      return "x = takeInt32(s, i); i = seen.pos;";
    case "uint32":
      return "x = takeUint32(s, i); i = seen.pos;";
    case "int64":
      return "takeInt64(s, i); i = seen.pos;";
    case "uint64":
      return "takeUint64(s, i); i = seen.pos;";
  }
}
