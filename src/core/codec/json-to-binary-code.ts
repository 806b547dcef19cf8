import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { needsDetour, recordParser } from "./detours.ts";
import { isDelimited, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType } from "./generated-code.ts";
import {
  enumTable,
  parseList,
  parseMap,
  parseMembers,
  parseByDetour,
  parserBindings,
} from "./take-json-code.ts";
import {
  putJsonBytes,
  putJsonText,
  putLength,
  putSigned32,
  putTime,
  putVarint32,
  putVarint64,
  putZigzag64,
} from "./put-binary.ts";
import { putBytes } from "./put-json-text.ts";

/**
 * Writes the fields of the message whose object begins in `from` at `start` to `out` at `pos`, and returns their end;
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

const bindings = {
  ...parserBindings,
  putBytes,
  putJsonBytes,
  putJsonText,
  putLength,
  putSigned32,
  putTime,
  putVarint32,
  putVarint64,
  putZigzag64,
};

/** The function that puts the JSON of a message type into protobuf bytes. */
export const binaryPutter: (desc: DescMessage) => Generated<PutBinary> = generatedPerType(generate);

function generate(desc: DescMessage): PutBinary {
  const code = new CodeBuilder(bindings);
  code.add("return function put(s, sv, i, b, v, p, d) {", "let x = 0;");
  if (desc.fields.some((field) => field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED)) {
    // Whether all of them are there is checked on the other path.
    code.add("throw irregular;");
  }
  code.add(...parseMembers(desc, code, parseField), "seen.pos = i;", "return p;", "};");
  return code.run() as PutBinary; // The text above is such a function.
}

function parseField(field: DescField, code: CodeBuilder): string {
  if (needsDetour(field)) return `${parseByDetour(recordParser(field), code)} p = putBytes(x, b, p);`;
  switch (field.fieldKind) {
    case "list":
      return parseRepeated(field, code);
    case "map":
      return parseEntries(field, code);
    default: {
      const implicit = field.oneof === undefined && field.presence === FeatureSet_FieldPresence.IMPLICIT;
      return field.message === undefined
        ? parseScalar(scalarCode(field, code), field.number, implicit ? zeroTest(field) : undefined)
        : parseMessage(field, field.message, code);
    }
  }
}

/** Code that reads a scalar into `x` or `seen`, and code that writes it. Texts are copied, so that they only write. */
interface ScalarCode {
  readonly type: number;
  readonly read: string;
  readonly write: string;
}

const room = "if (p + slack > b.length) throw full;";

function parseScalar(scalar: ScalarCode, number: number, isZero: string | undefined): string {
  const write = `${room} ${putTag(number, scalar.type)} ${scalar.write}`;
  return isZero === undefined
    ? `${scalar.read} ${write}`
    : `${scalar.read} if (${isZero}) { ${scalar.type === 2 ? "i += 2;" : ""} } else { ${write} }`;
}

function zeroTest(field: DescField): string {
  if (field.enum !== undefined) return `x === ${field.enum.values[0]?.number ?? 0}`;
  return scalarZeroTest(field.scalar ?? ScalarType.STRING);
}

function scalarZeroTest(type: ScalarType): string {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return "s[i] === 34 && s[i + 1] === 34";
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return "Object.is(x, 0)";
    case ScalarType.BOOL:
      return "x === false";
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return "seen.low === 0 && seen.high === 0";
    default:
      return "x === 0";
  }
}

function putTag(number: number, type: number): string {
  let rest = ((number << 3) | type) >>> 0;
  let text = "";
  for (; rest > 0x7f; rest >>>= 7) text += `b[p++] = ${(rest & 0x7f) | 0x80}; `;
  return `${text}b[p++] = ${rest};`;
}

function scalarCode(field: DescField, code: CodeBuilder): ScalarCode {
  if (field.enum === undefined) return scalarTypeCode(field.scalar ?? ScalarType.STRING);
  const table = code.bind(enumTable(field.enum));
  return {
    type: 0,
    read: `x = takeEnum(s, i, ${table}); i = seen.pos;`,
    write: "p = putSigned32(x, b, p);",
  };
}

const putSmall = "if (x >= 0 && x < 128) b[p++] = x; else";

function scalarTypeCode(type: ScalarType): ScalarCode {
  const of = (wire: number, read: string, write: string): ScalarCode => ({
    type: wire,
    read: read === "" ? "" : `${read}; i = seen.pos;`,
    write,
  });
  switch (type) {
    case ScalarType.STRING:
      return of(2, "", "p = putJsonText(s, i, b, p); i = seen.pos;");
    case ScalarType.BYTES:
      return of(2, "", "p = putJsonBytes(s, i, b, p); i = seen.pos;");
    case ScalarType.BOOL:
      return of(0, "x = takeBool(s, i)", "b[p++] = x ? 1 : 0;");
    case ScalarType.DOUBLE:
      return of(1, "x = takeDouble(s, i)", "v.setFloat64(p, x, true); p += 8;");
    case ScalarType.FLOAT:
      return of(5, "x = takeFloat(s, i)", "v.setFloat32(p, x, true); p += 4;");
    case ScalarType.INT32:
      return of(0, "x = takeInt32(s, i)", `${putSmall} p = putSigned32(x, b, p);`);
    case ScalarType.UINT32:
      return of(0, "x = takeUint32(s, i)", `${putSmall} p = putVarint32(x, b, p);`);
    case ScalarType.SINT32:
      return of(0, "x = takeInt32(s, i)", "p = putVarint32(((x << 1) ^ (x >> 31)) >>> 0, b, p);");
    case ScalarType.SFIXED32:
      return of(5, "x = takeInt32(s, i)", "v.setInt32(p, x, true); p += 4;");
    case ScalarType.FIXED32:
      return of(5, "x = takeUint32(s, i)", "v.setUint32(p, x, true); p += 4;");
    case ScalarType.INT64:
      return of(0, "takeInt64(s, i)", "p = putVarint64(seen.low, seen.high, b, p);");
    case ScalarType.UINT64:
      return of(0, "takeUint64(s, i)", "p = putVarint64(seen.low, seen.high, b, p);");
    case ScalarType.SINT64:
      return of(0, "takeInt64(s, i)", "p = putZigzag64(seen.low, seen.high, b, p);");
    case ScalarType.SFIXED64:
      return of(1, "takeInt64(s, i)", putFixed64);
    case ScalarType.FIXED64:
      return of(1, "takeUint64(s, i)", putFixed64);
  }
}

const putFixed64 = "v.setInt32(p, seen.low, true); v.setInt32(p + 4, seen.high, true); p += 8;";

function parseRepeated(field: DescField & { fieldKind: "list" }, code: CodeBuilder): string {
  if (field.message !== undefined) return parseList(parseMessage(field, field.message, code));
  const scalar = scalarCode(field, code);
  if (!field.packed) return parseList(parseScalar(scalar, field.number, undefined));
  const start = code.unique();
  // An empty list writes nothing.
  const values = parseList(`${scalar.read} ${room} ${scalar.write}`);
  const rewind = `if (p === ${start} + 1) p = ${start} - ${tagSize(field.number)}; else p = putLength(b, ${start}, p);`;
  return `${room} ${putTag(field.number, 2)} const ${start} = p++; ${values} ${rewind}`;
}

function tagSize(number: number): number {
  return putTag(number, 2).split(";").length - 1;
}

function parseEntries(field: DescField & { fieldKind: "map" }, code: CodeBuilder): string {
  const [start, key, end, keys, first, firstEnd, last] = Array.from({ length: 7 }, () => code.unique());
  const keyScalar = scalarTypeCode(field.mapKey);
  // Names are in quotes, also where numbers need none.
  const readKey = field.mapKey === ScalarType.BOOL ? "x = takeBoolKey(s, i); i = seen.pos;" : keyScalar.read;
  const open = `${room} ${putTag(field.number, 2)} const ${start} = p++; ${putTag(1, keyScalar.type)} const ${key} = p; ${readKey} ${keyScalar.write} const ${end} = p;`;
  const unique = `if (${last} >= 0) { if (${keys} === undefined) ${keys} = new Set([b.toString("latin1", ${first}, ${firstEnd})]); const size = ${keys}.size; if (${keys}.add(b.toString("latin1", ${key}, ${end})).size === size) throw irregular; }`;
  const value =
    field.message === undefined
      ? parseScalar(scalarCode(field, code), 2, undefined)
      : parseMessage(field, field.message, code, 2);
  // A longer length moves the entry.
  const close = `const moved = p; p = putLength(b, ${start}, p); if (${last} < 0) { ${first} = ${key} + p - moved; ${firstEnd} = ${end} + p - moved; ${last} = p; }`;
  return `let ${keys}, ${first} = 0, ${firstEnd} = 0, ${last} = -1; ${parseMap(`${open} ${unique}`, value, close)}`;
}

function parseMessage(field: DescField, desc: DescMessage, code: CodeBuilder, number = field.number): string {
  const inner = field.fieldKind === "message" ? 1 : 2;
  if (isDelimited(field)) {
    const child = code.bind(binaryPutter(desc));
    return `${room} ${putTag(number, 3)} p = ${child}.run(s, sv, i, b, v, p, d - ${inner}); i = seen.pos; ${room} ${putTag(number, 4)}`;
  }
  const open = `${room} ${putTag(number, 2)}`;
  const start = code.unique();
  const scalar = wrapped(desc);
  if (scalar !== undefined) {
    return `${open} const ${start} = p++; ${parseScalar(scalarTypeCode(scalar), 1, scalarZeroTest(scalar))} p = putLength(b, ${start}, p);`;
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
