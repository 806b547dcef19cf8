import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { type Fields, localShape, oneofOf, wrapped } from "./field-shape.ts";
import { codeIsAllowed, CodeBuilder, literal, property } from "./generated-code.ts";
import { integerRanges, maxFloat, notOfKind, scalarKind } from "./scalar-kinds.ts";

/** Looks at one value; throws a TypeError for one that its field cannot hold. */
type Check = (value: unknown) => void;

/** Looks at one field of a message. */
type FieldCheck = (fields: Readonly<Fields>) => void;

/** The check of one message type. */
interface Checker {
  /** Whether a message is certainly right; false means that `thorough` decides. May throw what `thorough` throws. */
  quick: (message: Message) => boolean;
  readonly thorough: (message: Message) => void;
  /** The two together. */
  readonly check: (message: Message) => void;
}

const checkers = new WeakMap<DescMessage, Checker>();

/**
 * A function that throws a TypeError for messages of a type that no format can hold: one of another type, or with a
 * value that its field cannot have, such as 1.5 for an int32. The error names the field. TypeScript excludes most of
 * them, but not those of JavaScript, of casts and of numbers out of range; encoders would silently encode some of them
 * as other values. The check is made once for each type, at its first message.
 */
export function messageCheck(desc: DescMessage): (message: Message) => void {
  return checkerOf(desc).check;
}

function checkerOf(desc: DescMessage): Checker {
  const known = checkers.get(desc);
  if (known !== undefined) return known;
  let fields: readonly FieldCheck[] | undefined;
  const made: Checker = {
    quick(message) {
      made.quick = codeIsAllowed ? generate(desc) : () => false;
      return made.quick(message);
    },
    thorough(message) {
      if (message.$typeName !== desc.typeName) {
        throw new TypeError(`${String(message.$typeName)} stands where a ${desc.typeName} is due`);
      }
      fields ??= desc.fields.map(fieldCheck);
      const values = message as unknown as Record<string, unknown>; // By the names of its fields.
      for (const check of fields) check(values);
    },
    check(message) {
      if (!made.quick(message)) made.thorough(message);
    },
  };
  checkers.set(desc, made);
  return made;
}

/** Generates the quick check, which costs a fraction of the thorough one: replies pass it all the time. */
function generate(desc: DescMessage): (message: Message) => boolean {
  const code = new CodeBuilder({});
  code.add(
    "return function quick(m) {",
    `if (m.$typeName !== ${literal(desc.typeName)}) return false;`,
    "let x, a;",
  );
  for (const field of desc.fields) code.add(quickMember(field, code));
  code.add("return true;", "};");
  return code.run() as (message: Message) => boolean; // The text above is such a function.
}

function quickMember(field: DescField, code: CodeBuilder): string {
  const value = property("m", field.localName);
  const wrong = quickTest(field, code);
  // Rare kinds of fields have no quick test.
  if (wrong === undefined) return `${code.bind(fieldCheck(field))}(m);`;
  if (field.fieldKind !== "list") {
    return `x = ${value}; if (${mayBeUnset(field) ? "x !== undefined && " : ""}(${wrong})) return false;`;
  }
  const loop = `for (let j = 0; j < a.length; j++) { x = a[j]; if (${wrong}) return false; }`;
  return `a = ${value}; if (!Array.isArray(a)) return false; ${loop}`;
}

/** Code that is true where the field may not be able to have the value `x`; undefined for fields without a quick test. */
function quickTest(field: DescField, code: CodeBuilder): string | undefined {
  if (field.fieldKind === "map" || field.oneof !== undefined) return undefined;
  if (field.enum !== undefined) return notOfKind("int32");
  if (field.message !== undefined) {
    if (localShape(field) !== "message") return undefined;
    return `typeof x !== "object" || x === null || !${code.bind(checkerOf(field.message))}.quick(x)`;
  }
  const kind = scalarKind(field.scalar);
  switch (kind) {
    case "float":
      return `${notOfKind(kind)} || !(x >= -${maxFloat} && x <= ${maxFloat})`;
    case "int64":
    case "uint64": {
      const { min, max } = integerRanges[kind];
      return `${notOfKind(kind)} || x < ${min}n || x > ${max}n`;
    }
    default:
      return notOfKind(kind);
  }
}

function mayBeUnset(field: DescField): boolean {
  const isSingular = field.fieldKind !== "list" && field.fieldKind !== "map";
  return isSingular && field.presence !== FeatureSet_FieldPresence.IMPLICIT;
}

function fieldCheck(field: DescField): FieldCheck {
  const { localName, oneof } = field;
  const check = valueCheck(field);
  if (oneof !== undefined) {
    const group = oneof.localName;
    return (fields) => {
      const { case: name, value } = oneofOf(fields, group);
      if (name === localName) check(value);
    };
  }
  const isOptional = mayBeUnset(field);
  return (fields) => {
    const value = fields[localName];
    if (value !== undefined || !isOptional) check(value);
  };
}

function valueCheck(field: DescField): Check {
  const element = elementCheck(field);
  if (field.fieldKind === "list") {
    return (value) => {
      if (!Array.isArray(value)) throw wrong(field, value, "list");
      for (let i = 0; i < value.length; i++) element(value[i]);
    };
  }
  if (field.fieldKind !== "map") return element;
  const isKey = keyTest(field.mapKey);
  return (value) => {
    if (typeof value !== "object" || value === null) throw wrong(field, value, "map");
    for (const [key, item] of Object.entries(value)) {
      if (!isKey(key)) throw wrong(field, key, `${ScalarType[field.mapKey].toLowerCase()} key`);
      element(item);
    }
  };
}

/** The check of a singular value, of an element of a list, or of a value of a map. */
function elementCheck(field: DescField): Check {
  if (field.enum !== undefined)
    return scalarCheck(field, ScalarType.INT32, `number of ${field.enum.typeName}`);
  const { message } = field;
  if (message === undefined) return scalarCheck(field, field.scalar);
  const shape = localShape(field);
  if (shape === "struct") {
    return (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw wrong(field, value, message.typeName);
      }
    };
  }
  if (shape === "wrapped") return scalarCheck(field, wrapped(message) ?? ScalarType.STRING);
  const check = messageCheck(message);
  return (value) => {
    if (typeof value !== "object" || value === null) throw wrong(field, value, message.typeName);
    check(value as Message); // It looks at the name of the type itself.
  };
}

function scalarCheck(field: DescField, scalar: ScalarType, name = ScalarType[scalar].toLowerCase()): Check {
  const fits = scalarTest(scalar);
  return (value) => {
    if (!fits(value)) throw wrong(field, value, name);
  };
}

const decimal = /^-?\d{1,20}$/;

function scalarTest(scalar: ScalarType): (value: unknown) => boolean {
  switch (scalarKind(scalar)) {
    case "string":
      return (value) => typeof value === "string";
    case "bytes":
      return (value) => value instanceof Uint8Array;
    case "bool":
      return (value) => typeof value === "boolean";
    case "double":
      return (value) => typeof value === "number";
    case "float":
      return (value) => typeof value === "number" && (!Number.isFinite(value) || Math.abs(value) <= maxFloat);
    case "int32":
      return (value) => typeof value === "number" && (value | 0) === value;
    case "uint32":
      return (value) => typeof value === "number" && value >>> 0 === value;
    case "int64":
      return int64Test((value) => BigInt.asIntN(64, value) === value);
    case "uint64":
      return int64Test((value) => BigInt.asUintN(64, value) === value);
  }
}

/** Messages hold bigints, or decimal strings with `jstype = JS_STRING`. */
function int64Test(fits: (value: bigint) => boolean): (value: unknown) => boolean {
  return (value) =>
    typeof value === "bigint"
      ? fits(value)
      : typeof value === "string" && decimal.test(value) && fits(BigInt(value));
}

/** Maps have their keys as names of properties. */
function keyTest(scalar: ScalarType): (key: string) => boolean {
  if (scalar === ScalarType.STRING) return () => true;
  if (scalar === ScalarType.BOOL) return (key) => key === "true" || key === "false";
  const fits = scalarTest(scalar);
  return (key) => decimal.test(key) && (fits(Number(key)) || fits(key));
}

function wrong(field: DescField, value: unknown, due: string): TypeError {
  const shown = typeof value === "number" || typeof value === "bigint" ? String(value) : typeof value;
  return new TypeError(`${field.parent.typeName}.${field.name}: ${shown} is no ${due}`);
}
