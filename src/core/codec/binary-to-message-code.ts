import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { isDelimited, localShape, setOwn, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType } from "./generated-code.ts";
import { seenInt64, seenUint64 } from "./int64-halves.ts";
import { type Target, targetOf } from "./message-target.ts";
import { scalarKind, wireType } from "./scalar-kinds.ts";
import { deepest, irregular, seen } from "./scratch.ts";
import { takeBinaryBindings, takeInt32, takeLength, takeScalar } from "./take-binary-code.ts";
import { takeUtf8 } from "./take-binary.ts";

/**
 * Takes the message that is in `from` between `start` and `end`. `view` looks at the same bytes, where {@link needsView}
 * says so; `depth` counts the messages around.
 */
export type TakeFields = (
  from: Buffer,
  view: DataView | undefined,
  start: number,
  end: number,
  depth: number,
) => Message;

const bindings = { ...takeBinaryBindings, irregular, seen, seenInt64, seenUint64, setOwn, takeUtf8 };

/**
 * The function that takes messages of a type from protobuf bytes. Fields that the contract does not have, groups, records
 * of another wire type, and messages that come in several records are irregular.
 */
export const fieldsTaker: (desc: DescMessage) => Generated<TakeFields> = generatedPerType(generate);

/** Whether values of fixed length can be anywhere in messages of a type. */
export function needsView(desc: DescMessage): boolean {
  const types = new Set([desc]); // It grows by the types inside.
  for (const { fields } of types) {
    for (const field of fields) {
      if (isFixed(field.scalar) || (field.fieldKind === "map" && isFixed(field.mapKey))) return true;
      if (field.message !== undefined) types.add(field.message);
    }
  }
  return false;
}

function isFixed(scalar: ScalarType | undefined): boolean {
  return scalar !== undefined && (wireType(scalar) === 1 || wireType(scalar) === 5);
}

function generate(desc: DescMessage): TakeFields {
  const code = new CodeBuilder(bindings);
  const target = targetOf(desc, code);
  code.add(
    "return function take(s, sv, i, e, d) {",
    `if (d > ${deepest}) throw irregular;`,
    "let t = 0, n = 0, x;",
    target.begin,
    "while (i < e) {",
    "t = s[i++]; if (t > 127) { t = takeTag(s, i, t); i = seen.pos; }",
    "switch (t) {",
    ...desc.fields.map((field) => takeField(field, target, code)),
    "default: throw irregular;",
    "} }",
    "if (i !== e) throw irregular;",
    target.end,
    "};",
  );
  return code.run() as TakeFields; // The text above is such a function.
}

/** The cases of the tags of a field. */
function takeField(field: DescField, target: Target, code: CodeBuilder): string {
  if (isDelimited(field)) return ""; // Its tags are irregular.
  if (field.fieldKind === "list") return takeList(field, target, code);
  if (field.fieldKind === "map") {
    const entry = takeEntry(field, code);
    return `case ${tagOf(field, 2)}: { ${entry} setOwn(${target.container(field)}, String(k), x); break; }`;
  }
  const { type, take } = valueCode(field, code);
  // Messages that come in several records are one.
  const once = field.message === undefined ? "" : `if (${target.isSet(field)}) throw irregular;`;
  return `case ${tagOf(field, type)}: { ${once} ${take} ${target.set(field, "x")} break; }`;
}

function takeList(field: DescField & { fieldKind: "list" }, target: Target, code: CodeBuilder): string {
  const { type, take } = valueCode(field, code);
  const list = target.container(field);
  const single = `case ${tagOf(field, type)}: { ${take} ${list}.push(x); break; }`;
  if (type === 2) return single;
  // A repeated field may arrive packed or not, whatever the contract says.
  const each = `const l = ${list}; while (i < pe) { ${take} l.push(x); }`;
  return `${single} case ${tagOf(field, 2)}: { ${takeLength} const pe = i + n; ${each} if (i !== pe) throw irregular; break; }`;
}

/** Code that takes an entry of a map: its key into `k`, its value into `x`. Those without one of both are irregular. */
function takeEntry(field: DescField & { fieldKind: "map" }, code: CodeBuilder): string {
  const key = scalarCode(field.mapKey);
  const { type, take } = valueCode(field, code);
  const is = (number: number, of: number): string => `if (s[i++] !== ${(number << 3) | of}) throw irregular;`;
  const both = `${is(1, key.type)} ${key.take} const k = x; ${is(2, type)} ${take}`;
  return `${takeLength} const me = i + n; ${both} if (i !== me) throw irregular;`;
}

/** Code that takes a value into `x`. */
interface ValueCode {
  readonly type: number;
  readonly take: string;
}

/** The code of a singular field, or of the elements of a list or map. */
function valueCode(field: DescField, code: CodeBuilder): ValueCode {
  if (field.message !== undefined) return messageCode(field, code);
  if (field.enum === undefined) {
    const asString = field.fieldKind !== "map" && field.scalar !== undefined && field.longAsString;
    return scalarCode(field.scalar ?? ScalarType.STRING, asString);
  }
  if (field.enum.open) return { type: 0, take: takeInt32 };
  // What a closed enum does not have is an unknown field.
  const numbers = code.bind(new Set(field.enum.values.map(({ number }) => number)));
  return { type: 0, take: `${takeInt32} if (!${numbers}.has(x)) throw irregular;` };
}

function messageCode(field: DescField & { message: DescMessage }, code: CodeBuilder): ValueCode {
  const { message } = field;
  switch (localShape(field)) {
    case "struct":
      return { type: 2, take: "throw irregular;" }; // An object of JSON, not a message.
    case "wrapped": {
      const { type, take, initial } = scalarCode(wrapped(message) ?? ScalarType.STRING);
      const value = `if (s[i++] !== ${(1 << 3) | type}) throw irregular; ${take}`;
      const whole = `const we = i + n; ${value} if (i !== we) throw irregular;`;
      return { type: 2, take: `${takeLength} if (n === 0) x = ${initial}; else { ${whole} }` };
    }
    case "message":
      return {
        type: 2,
        take: `${takeLength} x = ${code.bind(fieldsTaker(message))}.run(s, sv, i, i + n, d + 1); i += n;`,
      };
  }
}

/** The code of a scalar, with its default as an expression. */
function scalarCode(scalar: ScalarType, asString = false): ValueCode & { readonly initial: string } {
  const type = wireType(scalar);
  const take = takeScalar(scalar);
  const kind = scalarKind(scalar);
  switch (kind) {
    case "string":
      return { type, take: `${take} x = takeUtf8(s, i, i + n); i += n;`, initial: '""' };
    case "bytes": // A view of the same memory, as `fromBinary` gives it.
      return {
        type,
        take: `${take} x = new Uint8Array(s.buffer, s.byteOffset + i, n); i += n;`,
        initial: "new Uint8Array(0)",
      };
    case "bool":
      return { type, take: `${take} x = x !== 0;`, initial: "false" };
    case "int64":
    case "uint64": {
      const value = kind === "int64" ? "seenInt64()" : "seenUint64()";
      return { type, take: `${take} x = ${asString ? `String(${value})` : value};`, initial: "0n" };
    }
    default:
      return { type, take, initial: "0" };
  }
}

function tagOf({ number }: DescField, type: number): number {
  return ((number << 3) | type) >>> 0;
}
