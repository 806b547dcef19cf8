import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { localShape, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal } from "./generated-code.ts";
import {
  defaultText,
  memberStart,
  outputBindings,
  property,
  putBoolean,
  putConstant,
  putEnd,
  putEnum,
  scalarQuote,
} from "./put-json-code.ts";
import { fieldPrinter, needsDetour } from "./detours.ts";
import type { WriteFormat, WriterCompiler } from "./write-message.ts";

/** Writes the JSON of a message to `out`, whose bytes `outView` looks at too, at `pos`, and returns the end of the text. */
export type PutMessage = (message: Message, out: Buffer, outView: DataView, pos: number) => number;

/** Generates functions that put messages as JSON of one format. */
export class MessagePutters {
  /** The function of a message type. */
  readonly of: (desc: DescMessage) => Generated<PutMessage>;
  readonly #format: WriteFormat;
  readonly #compiler: WriterCompiler;

  constructor(compiler: WriterCompiler) {
    this.#format = compiler.format;
    this.#compiler = compiler;
    this.of = generatedPerType((desc) => this.#generate(desc));
  }

  #generate(desc: DescMessage): PutMessage {
    const code = new CodeBuilder(outputBindings);
    code.add(
      "return function put(m, b, v, p) {",
      `if (m.$typeName !== ${literal(desc.typeName)}) throw irregular;`,
      "const start = p; let x;",
    );
    for (const field of desc.fields.toSorted((a, b) => a.number - b.number))
      code.add(this.#member(field, code));
    code.add("if (m.$unknown !== undefined) seen.unknown = true;", putEnd("start", "{}"), "return p;", "};");
    return code.run() as PutMessage; // The text above is such a function.
  }

  #member(field: DescField, code: CodeBuilder): string {
    const start = memberStart(field, this.#format);
    const value = property("m", field.localName);
    if (needsDetour(field)) return this.#detour(field, start, code);
    const { open, write } = this.#value(field, code);
    if (field.fieldKind === "list") {
      const put = `${putConstant(start, code)} const l = p; for (let j = 0; j < a.length; j++) { x = a[j]; ${putConstant(`,${open}`, code)} ${write} } ${putEnd("l", "[]")}`;
      return `{ const a = ${value}; if (a.length > 0) { ${put} } ${this.#absent(field, start, code)} }`;
    }
    if (field.fieldKind === "map") {
      const key = `${putConstant(',"', code)} p = putText(key, b, p); ${putConstant(`":${open}`, code)}`;
      const put = `${putConstant(start, code)} const l = p; for (let j = 0; j < a.length; j++) { const key = a[j]; x = o[key]; ${key} ${write} } ${putEnd("l", "{}")}`;
      return `{ const o = ${value}, a = Object.keys(o); if (a.length > 0) { ${put} } ${this.#absent(field, start, code)} }`;
    }
    const put = `${putConstant(start + open, code)} ${write}`;
    if (field.oneof !== undefined) {
      const group = property("m", field.oneof.localName);
      return `if (${group}.case === ${literal(field.localName)}) { x = ${group}.value; ${put} }`;
    }
    if (field.message !== undefined) return `x = ${value}; if (x !== undefined) { ${put} }`;
    if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
      return `x = ${value}; if (x !== undefined && Object.hasOwn(m, ${literal(field.localName)})) { ${put} }`;
    }
    if (this.#format.defaults === "emit") return `x = ${value}; ${put}`;
    return `x = ${value}; if (${this.#isSet(field)}) { ${put} }`;
  }

  #detour(field: DescField, start: string, code: CodeBuilder): string {
    const value = property("m", field.localName);
    const put = `${putConstant(start, code)} p = putUnicode(${code.bind(fieldPrinter(field, this.#compiler))}(m), b, p);`;
    if (field.oneof !== undefined) {
      return `if (${property("m", field.oneof.localName)}.case === ${literal(field.localName)}) { ${put} }`;
    }
    if (field.fieldKind === "list")
      return `if (${value}.length > 0) { ${put} } ${this.#absent(field, start, code)}`;
    if (field.fieldKind === "map") {
      return `if (Object.keys(${value}).length > 0) { ${put} } ${this.#absent(field, start, code)}`;
    }
    return `if (${value} !== undefined) { ${put} }`;
  }

  #absent(field: DescField, start: string, code: CodeBuilder): string {
    if (this.#format.defaults === "omit") return "";
    return `else { ${putConstant(start + defaultText(field, this.#format), code)} }`;
  }

  #isSet(field: DescField): string {
    if (field.enum !== undefined) return `x !== ${field.enum.values[0]?.number ?? 0}`;
    switch (field.scalar) {
      case ScalarType.STRING:
        return 'x !== ""';
      case ScalarType.BYTES:
        return "x.length !== 0";
      case ScalarType.BOOL:
        return "x !== false";
      default:
        return '!Object.is(x, 0) && x !== 0n && x !== "0"';
    }
  }

  #value(field: DescField, code: CodeBuilder): ValueCode {
    if (field.enum !== undefined) {
      return {
        open: "",
        write: `if ((x | 0) !== x) throw irregular; ${putEnum(field.enum, "x", this.#format, code)}`,
      };
    }
    if (field.message === undefined) return this.#scalar(field.scalar ?? ScalarType.STRING);
    const scalar = wrapped(field.message);
    if (scalar !== undefined) {
      const value = this.#scalar(scalar);
      return localShape(field) === "wrapped" ? value : { ...value, write: `x = x.value; ${value.write}` };
    }
    switch (field.message.typeName) {
      case "google.protobuf.Timestamp":
        return { open: '"', write: "p = putTimestamp(Number(x.seconds), x.nanos, b, p); b[p++] = 34;" };
      case "google.protobuf.Duration":
        return { open: '"', write: "p = putDuration(Number(x.seconds), x.nanos, b, p); b[p++] = 34;" };
      default:
        return { open: "", write: `p = ${code.bind(this.of(field.message))}.run(x, b, v, p);` };
    }
  }

  #scalar(type: ScalarType): ValueCode {
    const open = scalarQuote(type, this.#format);
    switch (type) {
      case ScalarType.STRING:
        return {
          open,
          write: 'if (typeof x !== "string") throw irregular; p = putText(x, b, p); b[p++] = 34;',
        };
      case ScalarType.BYTES:
        return {
          open,
          write:
            "if (!(x instanceof Uint8Array)) throw irregular; p = putBase64(x, 0, x.length, b, p); b[p++] = 34;",
        };
      case ScalarType.BOOL:
        return { open, write: `if (x !== true && x !== false) throw irregular; ${putBoolean("x")}` };
      case ScalarType.DOUBLE:
        return { open, write: 'if (typeof x !== "number") throw irregular; p = putDouble(x, b, p);' };
      case ScalarType.FLOAT:
        return {
          open,
          write: 'if (typeof x !== "number") throw irregular; p = putFloat(Math.fround(x), b, p);',
        };
      case ScalarType.INT32:
      case ScalarType.SINT32:
      case ScalarType.SFIXED32:
        return { open, write: `if ((x | 0) !== x) throw irregular; ${putSmall}` };
      case ScalarType.UINT32:
      case ScalarType.FIXED32:
        return { open, write: `if (x >>> 0 !== x) throw irregular; ${putSmall}` };
      default:
        return { open, write: `if (typeof x !== "bigint") throw irregular; ${this.#long(open)}` };
    }
  }

  #long(open: string): string {
    const bare = "p = putBigInt(x, b, p);";
    if (open !== "") return `${bare} b[p++] = 34;`;
    if (this.#format.int64 === "number") return bare;
    return `if (Number.isSafeInteger(Number(x))) { ${bare} } else { b[p++] = 34; ${bare} b[p++] = 34; }`;
  }
}

interface ValueCode {
  readonly open: string;
  /** Writes `x` behind `open`. */
  readonly write: string;
}

const putSmall = "if (x >= 0 && x < 10) b[p++] = 48 + x; else p = putInteger(x, b, p);";
