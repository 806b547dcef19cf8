import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { firstNumber } from "./field-defaults.ts";
import { isDelimited, localShape, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal, property } from "./generated-code.ts";
import { splitCheckedInt64, splitCheckedUint64 } from "./int64-halves.ts";
import { putBinaryBindings, putEnum, putScalar, putTag, room } from "./put-binary-code.ts";
import { putSizedBytes, putSizedText, putUnknown } from "./put-binary.ts";
import { isRequired } from "./required-fields.ts";
import { maxFloat, notOfKind, scalarKind, type WireType, wireType } from "./scalar-kinds.ts";
import { full, irregular, seen, slack } from "./scratch.ts";

/** Puts the fields of a message into `out`, whose bytes `outView` looks at too, at `pos`, and returns their end. */
export type PutFields = (message: Message, out: Buffer, outView: DataView, pos: number) => number;

const bindings = {
  ...putBinaryBindings,
  full,
  irregular,
  putSizedBytes,
  putSizedText,
  putUnknown,
  seen,
  slack,
  splitCheckedInt64,
  splitCheckedUint64,
};

/** The function that puts a message type into protobuf bytes, its fields in the order of their numbers. */
export const fieldsPutter: (desc: DescMessage) => Generated<PutFields> = generatedPerType(generate);

function generate(desc: DescMessage): PutFields {
  const code = new CodeBuilder(bindings);
  code.add(
    "return function put(m, b, v, p) {",
    `if (m.$typeName !== ${literal(desc.typeName)}) throw irregular;`,
    "let x, a, o;",
  );
  for (const field of desc.fields.toSorted((one, other) => one.number - other.number)) {
    code.add(putField(field, code));
  }
  code.add("if (m.$unknown !== undefined) p = putUnknown(m.$unknown, b, p);", "return p;", "};");
  return code.run() as PutFields; // The text above is such a function.
}

function putField(field: DescField, code: CodeBuilder): string {
  const value = property("m", field.localName);
  if (field.fieldKind === "list") {
    return `a = ${value}; if (!Array.isArray(a)) throw irregular; if (a.length > 0) { ${putList(field, code)} }`;
  }
  if (field.fieldKind === "map") {
    const key = code.unique();
    const entry = `const ${key} = a[j]; x = o[${key}]; ${putEntry(field, key, code)}`;
    const check = 'if (typeof o !== "object" || o === null) throw irregular;';
    return `o = ${value}; ${check} a = Object.keys(o); for (let j = 0; j < a.length; j++) { ${entry} }`;
  }
  const put = field.message === undefined ? putTagged(valueCode(field), field.number) : putChild(field, code);
  if (field.oneof !== undefined) {
    const group = property("m", field.oneof.localName);
    return `o = ${group}; if (o.case === ${literal(field.localName)}) { x = o.value; ${put} }`;
  }
  const absent = isRequired(field) ? "else throw irregular;" : "";
  if (field.message !== undefined) return `x = ${value}; if (x !== undefined) { ${put} } ${absent}`;
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
    const isSet = `x !== undefined && Object.hasOwn(m, ${literal(field.localName)})`;
    return `x = ${value}; if (${isSet}) { ${put} } ${absent}`;
  }
  return `x = ${value}; ${putImplicit(valueCode(field), field.number)}`;
}

/** Code about a scalar in `x`. */
interface ValueCode {
  readonly type: WireType;
  /** Throws for a value that is not of the plain kind. */
  readonly check: string;
  /** Whether it is the default of a field without presence, after `check`. */
  readonly isDefault: string;
  /** Puts it, after `check`. */
  readonly put: string;
}

/** The code of a scalar or enum field, or of the elements of such a list or map. */
function valueCode(field: DescField): ValueCode {
  if (field.enum === undefined) return scalarCode(field.scalar ?? ScalarType.STRING);
  const check = `if (${notOfKind("int32")}) throw irregular;`;
  return { type: 0, check, isDefault: `x === ${firstNumber(field.enum)}`, put: putEnum };
}

function scalarCode(scalar: ScalarType): ValueCode {
  const kind = scalarKind(scalar);
  const type = wireType(scalar);
  const check = `if (${notOfKind(kind)}) throw irregular;`;
  const put = putScalar(scalar);
  switch (kind) {
    case "string":
      return { type, check, isDefault: 'x === ""', put: "p = putSizedText(x, b, p);" };
    case "bytes":
      return { type, check, isDefault: "x.length === 0", put: "p = putSizedBytes(x, b, p);" };
    case "bool":
      return { type, check, isDefault: "x === false", put };
    case "float": {
      const isTooLarge = `x - x === 0 && (x > ${maxFloat} || x < -${maxFloat})`; // But for those that are not finite.
      return {
        type,
        check: `${check} if (${isTooLarge}) throw irregular;`,
        isDefault: "Object.is(x, 0)",
        put,
      };
    }
    case "double":
      return { type, check, isDefault: "Object.is(x, 0)", put }; // Minus zero is no default.
    case "int64":
      return { type, check, isDefault: "x === 0n", put: `splitCheckedInt64(x); ${put}` };
    case "uint64":
      return { type, check, isDefault: "x === 0n", put: `splitCheckedUint64(x); ${put}` };
    default:
      return { type, check, isDefault: "x === 0", put };
  }
}

function putTagged({ type, check, put }: ValueCode, number: number): string {
  return `${check} ${room} ${putTag(number, type)} ${put}`;
}

/** As {@link putTagged}, for fields that are left out at their default. */
function putImplicit({ type, check, isDefault, put }: ValueCode, number: number): string {
  return `${check} if (!(${isDefault})) { ${room} ${putTag(number, type)} ${put} }`;
}

/** Code that puts the elements of the list in `a`, which is not empty. */
function putList(field: DescField & { fieldKind: "list" }, code: CodeBuilder): string {
  const each = (put: string): string => `for (let j = 0; j < a.length; j++) { x = a[j]; ${put} }`;
  if (field.message !== undefined) return each(putChild(field, code));
  const value = valueCode(field);
  if (!field.packed) return each(putTagged(value, field.number));
  const start = code.unique();
  const values = each(`${value.check} ${room} ${value.put}`);
  return `${room} ${putTag(field.number, 2)} const ${start} = p++; ${values} p = putLength(b, ${start}, p);`;
}

/** Code that puts an entry of a map: its key in the variable `key`, its value in `x`. */
function putEntry(field: DescField & { fieldKind: "map" }, key: string, code: CodeBuilder): string {
  const [start, value] = [code.unique(), code.unique()];
  const { check, put, type } = scalarCode(field.mapKey);
  const putKey = `${keyCode(field.mapKey, key)} ${check} ${putTag(1, type)} ${put}`;
  const putValue = field.message === undefined ? putTagged(valueCode(field), 2) : putChild(field, code, 2);
  return `const ${value} = x; ${room} ${putTag(field.number, 2)} const ${start} = p++; ${putKey} x = ${value}; ${putValue} p = putLength(b, ${start}, p);`;
}

/** Code that takes the key of a map, which is the name of a property, into `x`: as it would be printed, or it is irregular. */
function keyCode(scalar: ScalarType, key: string): string {
  switch (scalarKind(scalar)) {
    case "string":
      return `x = ${key};`;
    case "bool":
      return `x = ${key} === "true"; if (!x && ${key} !== "false") throw irregular;`;
    case "int64":
    case "uint64":
      return `x = BigInt(${key}); if (String(x) !== ${key}) throw irregular;`;
    default:
      return `x = Number(${key}); if (String(x) !== ${key}) throw irregular;`;
  }
}

/** Code that puts the message in `x`. */
function putChild(
  field: DescField & { message: DescMessage },
  code: CodeBuilder,
  number = field.number,
): string {
  const { message } = field;
  const open = `${room} ${putTag(number, 2)}`;
  const start = code.unique();
  switch (localShape(field)) {
    case "struct":
      return "throw irregular;"; // An object of JSON, not a message.
    case "wrapped": {
      const scalar = scalarCode(wrapped(message) ?? ScalarType.STRING);
      return `${open} const ${start} = p++; ${putImplicit(scalar, 1)} p = putLength(b, ${start}, p);`;
    }
    case "message": {
      const child = code.bind(fieldsPutter(message));
      return isDelimited(field)
        ? `${room} ${putTag(number, 3)} p = ${child}.run(x, b, v, p); ${room} ${putTag(number, 4)}`
        : `${open} const ${start} = p++; p = ${child}.run(x, b, v, p); p = putLength(b, ${start}, p);`;
    }
  }
}
