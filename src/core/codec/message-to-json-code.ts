import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { fieldToJson, needsDetour } from "./detours.ts";
import { defaultCode } from "./field-defaults.ts";
import { localShape, wrapped } from "./field-shape.ts";
import { CodeBuilder, type Generated, generatedPerType, literal, property } from "./generated-code.ts";
import type { WriteFormat } from "./message-writer.ts";
import {
  defaultText,
  memberStart,
  putConstant,
  putEnd,
  putEnum,
  putJsonBindings,
  putLong,
  putScalar,
  scalarQuote,
} from "./put-json-code.ts";
import { notOfKind, type ScalarKind, scalarKind } from "./scalar-kinds.ts";
import type { WriterCompiler } from "./write-message.ts";

/** Puts the JSON of a message into `out`, whose bytes `outView` looks at too, at `pos`, and returns the end of the text. */
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
    const code = new CodeBuilder(putJsonBindings);
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
    if (needsDetour(field)) return this.#detour(field, start, code);
    const value = property("m", field.localName);
    const { open, put } = this.#value(field, code);
    if (field.fieldKind === "list") {
      const all = `${putConstant(start, code)} const l = p; for (let j = 0; j < a.length; j++) { x = a[j]; ${putConstant(`,${open}`, code)} ${put} } ${putEnd("l", "[]")}`;
      return `{ const a = ${value}; if (a.length > 0) { ${all} } ${this.#absent(field, start, code)} }`;
    }
    if (field.fieldKind === "map") {
      const key = `${putConstant(',"', code)} p = putText(key, b, p); ${putConstant(`":${open}`, code)}`;
      const all = `${putConstant(start, code)} const l = p; for (let j = 0; j < a.length; j++) { const key = a[j]; x = o[key]; ${key} ${put} } ${putEnd("l", "{}")}`;
      return `{ const o = ${value}, a = Object.keys(o); if (a.length > 0) { ${all} } ${this.#absent(field, start, code)} }`;
    }
    const member = `${putConstant(start + open, code)} ${put}`;
    if (field.oneof !== undefined) {
      const group = property("m", field.oneof.localName);
      return `if (${group}.case === ${literal(field.localName)}) { x = ${group}.value; ${member} }`;
    }
    if (field.message !== undefined) return `x = ${value}; if (x !== undefined) { ${member} }`;
    if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
      return `x = ${value}; if (x !== undefined && Object.hasOwn(m, ${literal(field.localName)})) { ${member} }`;
    }
    if (this.#format.defaults === "emit") return `x = ${value}; ${member}`;
    return `x = ${value}; if (!(${defaultCode(field)})) { ${member} }`;
  }

  #detour(field: DescField, start: string, code: CodeBuilder): string {
    const value = property("m", field.localName);
    const put = `${putConstant(start, code)} p = putUnicode(${code.bind(fieldToJson(field, this.#compiler))}(m), b, p);`;
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

  #value(field: DescField, code: CodeBuilder): ValueCode {
    if (field.enum !== undefined) {
      return {
        open: "",
        put: `if (${notOfKind("int32")}) throw irregular; ${putEnum(field.enum, this.#format, code)}`,
      };
    }
    if (field.message === undefined) return this.#scalar(field.scalar ?? ScalarType.STRING);
    const scalar = wrapped(field.message);
    if (scalar !== undefined) {
      const value = this.#scalar(scalar);
      return localShape(field) === "wrapped" ? value : { ...value, put: `x = x.value; ${value.put}` };
    }
    switch (field.message.typeName) {
      case "google.protobuf.Timestamp":
        return { open: '"', put: "p = putTimestamp(Number(x.seconds), x.nanos, b, p); b[p++] = 34;" };
      case "google.protobuf.Duration":
        return { open: '"', put: "p = putDuration(Number(x.seconds), x.nanos, b, p); b[p++] = 34;" };
      default:
        return { open: "", put: `p = ${code.bind(this.of(field.message))}.run(x, b, v, p);` };
    }
  }

  #scalar(type: ScalarType): ValueCode {
    const kind = scalarKind(type);
    return {
      open: scalarQuote(kind, this.#format),
      put: `if (${notOfKind(kind)}) throw irregular; ${this.#putChecked(kind)}`,
    };
  }

  #putChecked(kind: ScalarKind): string {
    switch (kind) {
      case "string":
        return "p = putText(x, b, p); b[p++] = 34;";
      case "bytes":
        return "p = putBase64(x, 0, x.length, b, p); b[p++] = 34;";
      case "float":
        return `x = Math.fround(x); ${putScalar(kind)}`;
      case "int64":
      case "uint64":
        return putLong("p = putBigInt(x, b, p);", "Number.isSafeInteger(Number(x))", this.#format);
      default:
        return putScalar(kind);
    }
  }
}

interface ValueCode {
  readonly open: string;
  /** Puts `x` behind `open`. */
  readonly put: string;
}
