import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { fieldParser, needsDetour } from "./detours.ts";
import { type Fields, fieldsOf, localShape, messageFactory, setOwn, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal } from "./generated-code.ts";
import {
  enumTable,
  parseList,
  parseMap,
  parseMembers,
  parseByDetour,
  parserBindings,
} from "./take-json-code.ts";
import { property } from "./put-json-code.ts";

/**
 * Reads the message whose object begins in `from` at `start`; `seen.pos` is behind the object. `view` looks at the
 * same bytes, `text` has one character for each of them, `depth` more containers may be open.
 */
export type TakeMessage = (
  from: Buffer,
  view: DataView,
  text: string,
  start: number,
  depth: number,
) => Message;

const bindings = { ...parserBindings, setOwn, hasOwn: Object.hasOwn };

/** The function that takes messages of a type from JSON. */
export const messageTaker: (desc: DescMessage) => Generated<TakeMessage> = generatedPerType(generate);

/** With more fields, variables for all of them cost more than they save. */
const mostVariables = 48;

function generate(desc: DescMessage): TakeMessage {
  const code = new CodeBuilder(bindings);
  const sample = create(desc);
  const plain = Object.getPrototypeOf(sample) === Object.prototype && !Object.hasOwn(sample, "__proto__");
  const target =
    plain && desc.fields.length <= mostVariables
      ? literalTarget(desc, fieldsOf(sample), code)
      : objectTarget(desc, code);
  code.add("return function take(s, sv, text, i, d) {", "let x;", target.begin);
  code.add(...parseMembers(desc, code, (field) => parseField(field, target, code)));
  code.add("seen.pos = i;", target.end, "};");
  return code.run() as TakeMessage; // The text above is such a function.
}

/** Where the values of a message are kept until it is complete. */
interface Target {
  readonly begin: string;
  readonly end: string;
  /** Code that keeps an expression as the value of a field. */
  set(field: DescField, expression: string): string;
}

/** A message that exists from the beginning. */
function objectTarget(desc: DescMessage, code: CodeBuilder): Target {
  const set = (field: DescField, expression: string): string => {
    const { oneof, localName } = field;
    return oneof === undefined
      ? `${property("m", localName)} = ${expression};`
      : `${property("m", oneof.localName)} = { case: ${literal(localName)}, value: ${expression} };`;
  };
  return { begin: `const m = ${code.bind(messageFactory(desc))}();`, end: "return m;", set };
}

/** Variables, of which one literal makes the message: the engine knows its shape then. */
function literalTarget(desc: DescMessage, sample: Fields, code: CodeBuilder): Target {
  const variables: string[] = [];
  const members = [`$typeName: ${literal(desc.typeName)}`];
  const late: string[] = [];
  const names = new Map(desc.members.map((member, index) => [member.localName, `m${index}`]));
  for (const member of desc.members) {
    const name = names.get(member.localName) ?? "";
    const key = literal(member.localName);
    if (member.kind === "oneof") {
      variables.push(name);
      members.push(`${key}: ${name} === undefined ? { case: undefined } : ${name}`);
    } else if (member.fieldKind === "list" || member.fieldKind === "map") {
      variables.push(name);
      members.push(`${key}: ${name} === undefined ? ${member.fieldKind === "list" ? "[]" : "{}"} : ${name}`);
    } else if (Object.hasOwn(sample, member.localName)) {
      variables.push(`${name} = ${code.bind(sample[member.localName])}`);
      members.push(`${key}: ${name}`);
    } else {
      variables.push(name);
      late.push(`if (${name} !== undefined) ${property("m", member.localName)} = ${name};`);
    }
  }
  const begin = variables.length === 0 ? "" : `let ${variables.join(", ")};`;
  const end = `const m = { ${members.join(", ")} }; ${late.join(" ")} return m;`;
  const set = ({ oneof, localName }: DescField, expression: string): string =>
    oneof === undefined
      ? `${names.get(localName)} = ${expression};`
      : `${names.get(oneof.localName)} = { case: ${literal(localName)}, value: ${expression} };`;
  return { begin, end, set };
}

function parseField(field: DescField, target: Target, code: CodeBuilder): string {
  if (needsDetour(field)) return `${parseByDetour(fieldParser(field), code)} ${target.set(field, "x")}`;
  switch (field.fieldKind) {
    case "list": {
      const list = code.unique();
      return `const ${list} = []; ${parseList(`${parseElement(field, code)} ${list}.push(x);`)} ${target.set(field, list)}`;
    }
    case "map": {
      const [map, key] = [code.unique(), code.unique()];
      const unique = `if (hasOwn(${map}, ${key})) throw irregular;`;
      const add = `setOwn(${map}, ${key}, x);`;
      const read = `const ${key} = ${parseKey(field.mapKey)}; i = seen.pos; ${unique}`;
      return `const ${map} = {}; ${parseMap(read, parseElement(field, code), add)} ${target.set(field, map)}`;
    }
    default:
      return `${parseElement(field, code)} ${target.set(field, "x")}`;
  }
}

function parseKey(type: ScalarType): string {
  return type === ScalarType.STRING
    ? "takeText(s, text, i)"
    : `String(${type === ScalarType.BOOL ? "takeBoolKey(s, i)" : scalarExpression(type, false)})`;
}

/** Code that reads one value into `x`. */
function parseElement(field: DescField, code: CodeBuilder): string {
  if (field.enum !== undefined)
    return `x = takeEnum(s, i, ${code.bind(enumTable(field.enum))}); i = seen.pos;`;
  if (field.message !== undefined) return parseMessage(field, code);
  const asString = field.fieldKind !== "map" && field.scalar !== undefined && field.longAsString;
  return `x = ${scalarExpression(field.scalar ?? ScalarType.STRING, asString)}; i = seen.pos;`;
}

function scalarExpression(type: ScalarType, longAsString: boolean): string {
  switch (type) {
    case ScalarType.STRING:
      return "takeText(s, text, i)";
    case ScalarType.BYTES:
      return "takeBytes(s, i)";
    case ScalarType.BOOL:
      return "takeBool(s, i)";
    case ScalarType.DOUBLE:
      return "takeDouble(s, i)";
    case ScalarType.FLOAT:
      return "takeFloat(s, i)";
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return "takeInt32(s, i)";
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return "takeUint32(s, i)";
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longAsString ? "(takeUint64(s, i), String(seenUint64()))" : "(takeUint64(s, i), seenUint64())";
    default:
      return longAsString ? "(takeInt64(s, i), String(seenInt64()))" : "(takeInt64(s, i), seenInt64())";
  }
}

function parseMessage(field: DescField & { message: DescMessage }, code: CodeBuilder): string {
  const desc = field.message;
  const scalar = wrapped(desc);
  if (scalar !== undefined) {
    const read = `x = ${scalarExpression(scalar, false)}; i = seen.pos;`;
    if (localShape(field) === "wrapped") return read;
    return `${read} x = { $typeName: ${literal(desc.typeName)}, value: x };`;
  }
  switch (desc.typeName) {
    case TimestampSchema.typeName:
      return `x = takeTimestamp(s, i); ${timeLiteral(desc)}`;
    case DurationSchema.typeName:
      return `x = takeDuration(s, i); ${timeLiteral(desc)}`;
    default: {
      const inner = field.fieldKind === "message" ? 1 : 2;
      return `x = ${code.bind(messageTaker(desc))}.run(s, sv, text, i, d - ${inner}); i = seen.pos;`;
    }
  }
}

function timeLiteral(desc: DescMessage): string {
  return `x = { $typeName: ${literal(desc.typeName)}, seconds: BigInt(x), nanos: seen.low }; i = seen.pos;`;
}
