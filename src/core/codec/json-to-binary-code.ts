import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { needsDetour, jsonToRecords } from "./detours.ts";
import { takenDefaultCode } from "./field-defaults.ts";
import { isDelimited, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType } from "./generated-code.ts";
import { putBinaryBindings, putEnum, putScalar, putTag, room, tagSize } from "./put-binary-code.ts";
import { isRequired } from "./required-fields.ts";
import { scalarKind, type WireType, wireType } from "./scalar-kinds.ts";
import {
  takeEnumValue,
  takeScalar,
  takeBoolName,
  takeList,
  takeMap,
  takeMembers,
  takeByDetour,
  takeJsonBindings,
} from "./take-json-code.ts";

/**
 * Puts the fields of the message whose object begins in `from` at `start` to `out` at `pos`, and returns their end;
 * `seen.pos` is behind the object. `view` and `outView` look at the same bytes, `depth` more containers may be open.
 */
export type PutBinary = (
  from: Buffer,
  view: DataView,
  start: number,
  out: Buffer,
  outView: DataView,
  pos: number,
  depth: number,
) => number;

const bindings = { ...takeJsonBindings, ...putBinaryBindings };

/** The function that puts the JSON of a message type into protobuf bytes. */
export const binaryPutter: (desc: DescMessage) => Generated<PutBinary> = generatedPerType(generate);

function generate(desc: DescMessage): PutBinary {
  const code = new CodeBuilder(bindings);
  code.add("return function put(s, sv, i, b, v, p, d) {", "let x = 0;");
  if (desc.fields.some(isRequired)) {
    // Only the way through a message checks that all of them are there.
    code.add("throw irregular;");
  }
  code.add(...takeMembers(desc, code, convertField), "seen.pos = i;", "return p;", "};");
  return code.run() as PutBinary; // The text above is such a function.
}

function convertField(field: DescField, code: CodeBuilder): string {
  if (needsDetour(field)) return `${takeByDetour(jsonToRecords(field), code)} p = putBytes(x, b, p);`;
  switch (field.fieldKind) {
    case "list":
      return convertList(field, code);
    case "map":
      return convertMap(field, code);
    default: {
      const implicit = field.oneof === undefined && field.presence === FeatureSet_FieldPresence.IMPLICIT;
      return field.message === undefined
        ? (implicit ? convertImplicit : convertScalar)(valueCode(field, code), field.number)
        : convertMessage(field, field.message, code);
    }
  }
}

/** Code that takes a scalar into `x` or `seen`, and code that puts it, which also takes strings and bytes. */
interface ScalarCode {
  readonly type: WireType;
  readonly take: string;
  readonly put: string;
  /** Whether it is at its default, after `take`. */
  readonly isDefault: string;
}

function enumCode(desc: DescEnum, code: CodeBuilder): ScalarCode {
  return { type: 0, take: takeEnumValue(desc, code), put: putEnum, isDefault: takenDefaultCode(desc, "") };
}

function scalarCode(type: ScalarType): ScalarCode {
  const kind = scalarKind(type);
  return {
    type: wireType(type),
    take: kind === "string" || kind === "bytes" ? "" : takeScalar(kind),
    put: putScalar(type),
    isDefault: takenDefaultCode(type, "s[i] === 34 && s[i + 1] === 34"),
  };
}

/** The code of a scalar or enum field. */
function valueCode(field: DescField, code: CodeBuilder): ScalarCode {
  return field.enum === undefined
    ? scalarCode(field.scalar ?? ScalarType.STRING)
    : enumCode(field.enum, code);
}

function convertScalar({ type, take, put }: ScalarCode, number: number): string {
  return `${take} ${room} ${putTag(number, type)} ${put}`;
}

/** As {@link convertScalar}, for fields that are left out at their default. */
function convertImplicit({ type, take, put, isDefault }: ScalarCode, number: number): string {
  return `${take} if (${isDefault}) { ${type === 2 ? "i += 2;" : ""} } else { ${room} ${putTag(number, type)} ${put} }`;
}

function convertList(field: DescField & { fieldKind: "list" }, code: CodeBuilder): string {
  if (field.message !== undefined) return takeList(convertMessage(field, field.message, code));
  const scalar = valueCode(field, code);
  if (!field.packed) return takeList(convertScalar(scalar, field.number));
  const start = code.unique();
  // An empty list has no bytes at all.
  const values = takeList(`${scalar.take} ${room} ${scalar.put}`);
  const rewind = `if (p === ${start} + 1) p = ${start} - ${tagSize(field.number)}; else p = putLength(b, ${start}, p);`;
  return `${room} ${putTag(field.number, 2)} const ${start} = p++; ${values} ${rewind}`;
}

function convertMap(field: DescField & { fieldKind: "map" }, code: CodeBuilder): string {
  const [start, key, end, keys, first, firstEnd, last] = Array.from({ length: 7 }, () => code.unique());
  const keyScalar = scalarCode(field.mapKey);
  // Names are in quotes, also where numbers need none.
  const takeKey = field.mapKey === ScalarType.BOOL ? takeBoolName : keyScalar.take;
  const open = `${room} ${putTag(field.number, 2)} const ${start} = p++; ${putTag(1, keyScalar.type)} const ${key} = p; ${takeKey} ${keyScalar.put} const ${end} = p;`;
  const unique = `if (${last} >= 0) { if (${keys} === undefined) ${keys} = new Set([b.toString("latin1", ${first}, ${firstEnd})]); const size = ${keys}.size; if (${keys}.add(b.toString("latin1", ${key}, ${end})).size === size) throw irregular; }`;
  const value =
    field.message === undefined
      ? convertScalar(valueCode(field, code), 2)
      : convertMessage(field, field.message, code, 2);
  // A longer length moves the entry.
  const close = `const moved = p; p = putLength(b, ${start}, p); if (${last} < 0) { ${first} = ${key} + p - moved; ${firstEnd} = ${end} + p - moved; ${last} = p; }`;
  return `let ${keys}, ${first} = 0, ${firstEnd} = 0, ${last} = -1; ${takeMap(`${open} ${unique}`, value, close)}`;
}

function convertMessage(
  field: DescField,
  desc: DescMessage,
  code: CodeBuilder,
  number = field.number,
): string {
  const inner = field.fieldKind === "message" ? 1 : 2;
  if (isDelimited(field)) {
    const child = code.bind(binaryPutter(desc));
    return `${room} ${putTag(number, 3)} p = ${child}.run(s, sv, i, b, v, p, d - ${inner}); i = seen.pos; ${room} ${putTag(number, 4)}`;
  }
  const open = `${room} ${putTag(number, 2)}`;
  const start = code.unique();
  const scalar = wrapped(desc);
  if (scalar !== undefined) {
    return `${open} const ${start} = p++; ${convertImplicit(scalarCode(scalar), 1)} p = putLength(b, ${start}, p);`;
  }
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return `x = takeTimestamp(s, i); i = seen.pos; ${open} p = putTime(x, seen.low, b, p);`;
    case "google.protobuf.Duration":
      return `x = takeDuration(s, i); i = seen.pos; ${open} p = putTime(x, seen.low, b, p);`;
    default: {
      const child = code.bind(binaryPutter(desc));
      return `${open} const ${start} = p++; p = ${child}.run(s, sv, i, b, v, p, d - ${inner}); i = seen.pos; p = putLength(b, ${start}, p);`;
    }
  }
}
