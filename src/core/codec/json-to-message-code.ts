import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { jsonToField, needsDetour } from "./detours.ts";
import { localShape, setOwn, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal } from "./generated-code.ts";
import { type Target, targetOf } from "./message-target.ts";
import { scalarKind } from "./scalar-kinds.ts";
import {
  takeEnumValue,
  takeScalar,
  takeList,
  takeMap,
  takeMembers,
  takeBoolName,
  takeByDetour,
  takeJsonBindings,
} from "./take-json-code.ts";

/**
 * Takes the message whose object begins in `from` at `start`; `seen.pos` is behind the object. `view` looks at the
 * same bytes, `text` has one character for each of them, `depth` more containers may be open.
 */
export type TakeMessage = (
  from: Buffer,
  view: DataView,
  text: string,
  start: number,
  depth: number,
) => Message;

const bindings = { ...takeJsonBindings, setOwn, hasOwn: Object.hasOwn };

/** The function that takes messages of a type from JSON. */
export const messageTaker: (desc: DescMessage) => Generated<TakeMessage> = generatedPerType(generate);

function generate(desc: DescMessage): TakeMessage {
  const code = new CodeBuilder(bindings);
  const target = targetOf(desc, code);
  code.add("return function take(s, sv, text, i, d) {", "let x;", target.begin);
  code.add(...takeMembers(desc, code, (field) => takeField(field, target, code)));
  code.add("seen.pos = i;", target.end, "};");
  return code.run() as TakeMessage; // The text above is such a function.
}

function takeField(field: DescField, target: Target, code: CodeBuilder): string {
  if (needsDetour(field)) return `${takeByDetour(jsonToField(field), code)} ${target.set(field, "x")}`;
  switch (field.fieldKind) {
    case "list": {
      const list = code.unique();
      return `const ${list} = []; ${takeList(`${takeElement(field, code)} ${list}.push(x);`)} ${target.set(field, list)}`;
    }
    case "map": {
      const [map, key] = [code.unique(), code.unique()];
      const unique = `if (hasOwn(${map}, ${key})) throw irregular;`;
      const add = `setOwn(${map}, ${key}, x);`;
      const read = `${takeKey(field.mapKey)} const ${key} = String(x); ${unique}`;
      return `const ${map} = {}; ${takeMap(read, takeElement(field, code), add)} ${target.set(field, map)}`;
    }
    default:
      return `${takeElement(field, code)} ${target.set(field, "x")}`;
  }
}

function takeKey(type: ScalarType): string {
  return type === ScalarType.BOOL ? takeBoolName : takeValue(type, false);
}

/** Code that reads one value into `x`. */
function takeElement(field: DescField, code: CodeBuilder): string {
  if (field.enum !== undefined) return takeEnumValue(field.enum, code);
  if (field.message !== undefined) return takeMessage(field, code);
  const asString = field.fieldKind !== "map" && field.scalar !== undefined && field.longAsString;
  return takeValue(field.scalar ?? ScalarType.STRING, asString);
}

/** Code that takes a scalar into `x` as messages hold it. */
function takeValue(type: ScalarType, longAsString: boolean): string {
  const kind = scalarKind(type);
  switch (kind) {
    case "string":
      return "x = takeText(s, text, i); i = seen.pos;";
    case "bytes":
      return "x = takeBytes(s, i); i = seen.pos;";
    case "int64":
    case "uint64": {
      const value = kind === "int64" ? "seenInt64()" : "seenUint64()";
      return `${takeScalar(kind)} x = ${longAsString ? `String(${value})` : value};`;
    }
    default:
      return takeScalar(kind);
  }
}

function takeMessage(field: DescField & { message: DescMessage }, code: CodeBuilder): string {
  const desc = field.message;
  const scalar = wrapped(desc);
  if (scalar !== undefined) {
    const read = takeValue(scalar, false);
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
