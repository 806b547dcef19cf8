import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { scalarCode, timeCode, type ValueCode, wrapperCode } from "./binary-to-json-values.ts";
import { needsBinaryDetour, recordsToJson } from "./detours.ts";
import { takenDefaultCode } from "./field-defaults.ts";
import { isDelimited, wrapped } from "./field-shape.ts";
import { CodeBuilder, declareOneofs, type Generated, generatedPerType, takeOneof } from "./generated-code.ts";
import type { WriteFormat } from "./message-writer.ts";
import { defaultText, memberStart, putConstant, putEnd, putEnum, putJsonBindings } from "./put-json-code.ts";
import { deepest } from "./scratch.ts";
import { nextTag, takeBinaryBindings, takeInt32, takeLength } from "./take-binary-code.ts";
import type { WriterCompiler } from "./write-message.ts";

/**
 * Puts the JSON of the message that is in `from` between `start` and `end` into `out` at `pos`, and returns the
 * end of the text. `view` and `outView` look at the same bytes, `depth` counts the messages around.
 */
export type PutJson = (
  ...input: [
    from: Buffer,
    view: DataView,
    start: number,
    end: number,
    out: Buffer,
    outView: DataView,
    pos: number,
    depth: number,
  ]
) => number;

const bindings = { ...putJsonBindings, ...takeBinaryBindings };

/** Generates functions that put protobuf bytes as JSON of one format. */
export class BinaryPutters {
  /** The function of a message type. */
  readonly of: (desc: DescMessage) => Generated<PutJson>;
  /**
   * The function that puts the value of one field in place of its message: `null` where a field with presence is unset,
   * the default where another is.
   */
  readonly valueOf: (field: DescField) => Generated<PutJson>;
  readonly #format: WriteFormat;
  readonly #compiler: WriterCompiler;

  constructor(compiler: WriterCompiler) {
    this.#format = compiler.format;
    this.#compiler = compiler;
    this.of = generatedPerType((desc) => this.#generate(desc));
    this.valueOf = generatedPerType((field: DescField) => this.#generate(field.parent, field));
  }

  /** @param only the field whose value is put in place of the message */
  #generate(desc: DescMessage, only?: DescField): PutJson {
    const code = new CodeBuilder(bindings);
    code.add(
      "return function put(s, sv, i, e, b, v, p, d) {",
      `if (d > ${deepest}) throw irregular;`,
      "const start = p; let x = 0, n = 0;",
      declareOneofs(desc),
      "let t = -1, g = 0;",
      nextTag,
    );
    const ordered = desc.fields.toSorted((a, b) => a.number - b.number);
    for (const field of ordered) {
      const value = field === only;
      // The other fields are put too, since they can be irregular, and overwritten or left behind the end.
      if (value) code.add("p = start;");
      code.add(this.#member(field, value ? "" : memberStart(field, this.#format), code));
      if (value) code.add(this.#unset(field, code), "const valueEnd = p;");
    }
    code.add(
      // Contracts grow at their end, so fields of a newer contract follow all the known ones.
      "while (t !== -1) {",
      `if (t >>> 3 <= ${ordered.at(-1)?.number ?? 0}) throw irregular;`,
      "i = skipValue(s, i, t);",
      "if (i > e) throw irregular;",
      "seen.unknown = true;",
      nextTag,
      "}",
      "if (i !== e) throw irregular;",
      ...(only === undefined ? [putEnd("start", "{}"), "return p;"] : ["return valueEnd;"]),
      "};",
    );
    return code.run() as PutJson; // The text above is such a function.
  }

  /** Code that puts the value of a field where its member has put nothing. */
  #unset(field: DescField, code: CodeBuilder): string {
    const text = hasPresence(field) ? "null" : defaultText(field, this.#format);
    return `if (p === start) { ${putConstant(text, code)} }`;
  }

  /** @param start the text before its value */
  #member(field: DescField, start: string, code: CodeBuilder): string {
    if (needsBinaryDetour(field)) return this.#detour(field, start, code);
    switch (field.fieldKind) {
      case "list":
        return this.#list(field, start, code);
      case "map":
        return this.#map(field, start, code);
      default:
        return this.#singular(field, start, code);
    }
  }

  #detour(field: DescField, start: string, code: CodeBuilder): string {
    const tag = tagOf(field, isDelimited(field) ? 3 : 2);
    const skip = `const r = g; let z; do { i = skipValue(s, i, t); if (!(i <= e)) throw irregular; z = i; ${nextTag} } while (t === ${tag});`;
    const convert = code.bind(recordsToJson(field, this.#compiler));
    const put = `${putConstant(start, code)} p = putUnicode(${convert}(s.subarray(r, z), d), b, p);`;
    const text = `if (t === ${tag}) { ${takeOneof(field)} ${skip} ${put} }`;
    const repeated = field.fieldKind === "list" || field.fieldKind === "map";
    if (!repeated || this.#format.defaults === "omit") return text;
    return `${text} else { ${putConstant(start + defaultText(field, this.#format), code)} }`;
  }

  #singular(field: DescField, start: string, code: CodeBuilder): string {
    const { open, take, put, type } = this.#value(field, code);
    const found = `if (t === ${tagOf(field, type)}) {`;
    if (hasPresence(field)) {
      return `${found} ${takeOneof(field)} ${putConstant(start + open, code)} ${take} ${put} ${nextTag} }`;
    }
    if (this.#format.defaults === "emit") {
      const absent = putConstant(start + defaultText(field, this.#format), code);
      return `${found} ${putConstant(start + open, code)} ${take} ${put} ${nextTag} } else { ${absent} }`;
    }
    // Serializers leave defaults out; one that does not goes through a message.
    const isDefault = takenDefaultCode(field.enum ?? field.scalar ?? ScalarType.STRING, "n === 0");
    return `${found} ${take} if (${isDefault}) throw irregular; ${putConstant(start + open, code)} ${put} ${nextTag} }`;
  }

  #list(field: DescField & { fieldKind: "list" }, start: string, code: CodeBuilder): string {
    const { open, take, put, type } = this.#value(field, code);
    const name = putConstant(start, code);
    const element = `${putConstant(`,${open}`, code)} ${take} ${put}`;
    const single = `const l = p; do { ${element} ${nextTag} } while (t === ${tagOf(field, type)}); ${putEnd("l", "[]")}`;
    let text = `if (t === ${tagOf(field, type)}) { ${name} ${single} }`;
    if (type !== 2) {
      // A repeated field may arrive packed or not, whatever the contract says.
      const packed = `const l = p; ${takeLength} const pe = i + n; while (i < pe) { ${element} } if (i !== pe) throw irregular;`;
      const whole = `${packed} ${putEnd("l", "[]")} ${nextTag}`;
      const some = this.#format.defaults === "emit" ? "" : "if (s[i] === 0) throw irregular;";
      text += ` else if (t === ${(field.number << 3) | 2}) { ${some} ${name} ${whole} }`;
    }
    if (this.#format.defaults === "omit") return text;
    return `${text} else { ${putConstant(start + defaultText(field, this.#format), code)} }`;
  }

  #map(field: DescField & { fieldKind: "map" }, start: string, code: CodeBuilder): string {
    const { open, take, put, type } = this.#value(field, code);
    const key = scalarCode(field.mapKey, this.#format);
    const quoted = key.open === '"' ? "" : "b[p++] = 34;";
    const entry = [
      takeLength,
      "const me = i + n;",
      `if (s[i++] !== ${(1 << 3) | key.type}) throw irregular;`,
      putConstant(',"', code),
      "const k = p;",
      key.take,
      key.putBare,
      quoted,
      // The texts of the keys are compared, since they are in the output already.
      "if (count++ > 0) { if (keys === undefined) { keys = new Set(); keys.add(b.toString('latin1', firstKey, firstKeyEnd)); }",
      "const size = keys.size; if (keys.add(b.toString('latin1', k, p)).size === size) throw irregular; }",
      "else { firstKey = k; firstKeyEnd = p; }",
      key.open === '"' ? "b[p++] = 34;" : "",
      `if (s[i++] !== ${(2 << 3) | type}) throw irregular;`,
      putConstant(`:${open}`, code),
      take,
      put,
      "if (i !== me) throw irregular;",
    ].join(" ");
    const tag = (field.number << 3) | 2;
    const text = `if (t === ${tag}) { ${putConstant(start, code)} const l = p; let count = 0, firstKey = 0, firstKeyEnd = 0, keys; do { ${entry} ${nextTag} } while (t === ${tag}); ${putEnd("l", "{}")} }`;
    if (this.#format.defaults === "omit") return text;
    return `${text} else { ${putConstant(start + defaultText(field, this.#format), code)} }`;
  }

  #value(field: DescField, code: CodeBuilder): ValueCode {
    if (field.enum !== undefined) {
      return {
        type: 0,
        open: "",
        take: takeInt32,
        put: putEnum(field.enum, this.#format, code),
      };
    }
    if (field.message !== undefined) return this.#message(field.message, code);
    return scalarCode(field.scalar ?? ScalarType.STRING, this.#format);
  }

  #message(desc: DescMessage, code: CodeBuilder): ValueCode {
    const scalar = wrapped(desc);
    if (scalar !== undefined) return wrapperCode(scalar, this.#format);
    switch (desc.typeName) {
      case "google.protobuf.Timestamp":
        return timeCode("putTimestamp");
      case "google.protobuf.Duration":
        return timeCode("putDuration");
      default: {
        const child = code.bind(this.of(desc));
        return {
          type: 2,
          open: "",
          take: takeLength,
          put: `p = ${child}.run(s, sv, i, i + n, b, v, p, d + 1); i += n;`,
        };
      }
    }
  }
}

/** Whether a field that is set to its default differs from one that is not set. */
function hasPresence(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map") return false;
  const { message, oneof, presence } = field;
  return message !== undefined || oneof !== undefined || presence !== FeatureSet_FieldPresence.IMPLICIT;
}

function tagOf(field: DescField, type: number): number {
  return ((field.number << 3) | type) >>> 0;
}
