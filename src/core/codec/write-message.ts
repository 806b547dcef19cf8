import {
  type DescExtension,
  type DescField,
  type DescMessage,
  getExtension,
  type Message,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { AnySchema, FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { compileAll } from "./compile-all.ts";
import { defaultTest } from "./field-defaults.ts";
import { extensionField, type Fields, fieldsOf, localShape, oneofOf, wrapped } from "./field-shape.ts";
import type { MessageWriter, WriteContext, WriteFormat } from "./message-writer.ts";
import { anyWriter } from "./write-any.ts";
import { listWriter, mapWriter } from "./write-containers.ts";
import { enumWriter } from "./write-enums.ts";
import { type AppendMember, appendOneof, appendValue, appendWhere } from "./write-members.ts";
import { bareWriter, scalarWriter, unwritable, type ValueWriter } from "./write-scalars.ts";
import { wellKnownWriter, writeJsonValue } from "./write-well-known.ts";

type Writer = ValueWriter<WriteContext>;

/** Compiles writers of one format; types are compiled once, at their first use. */
export class WriterCompiler {
  readonly format: WriteFormat;
  readonly #writers = new WeakMap<DescMessage, MessageWriter>();
  readonly #extensions = new WeakMap<DescExtension, AppendMember>();

  constructor(format: WriteFormat) {
    this.format = format;
  }

  message(desc: DescMessage): MessageWriter {
    let writer = this.#writers.get(desc);
    if (writer === undefined) {
      const compiled = new CompiledWriter(desc, this);
      writer = compiled;
      // Known before its fields are compiled, so that recursive types end here.
      this.#writers.set(desc, writer);
      compileAll(compiled);
    }
    return writer;
  }

  /** The writer of an extension, which is printed like a field named `[pkg.name]`. */
  extension(desc: DescExtension): AppendMember {
    let append = this.#extensions.get(desc);
    if (append === undefined) {
      append = appendValue(desc.jsonName, "value", this.value(extensionField(desc, "value")));
      this.#extensions.set(desc, append);
    }
    return append;
  }

  /** The writer of what a field of any kind holds. */
  value(desc: DescField): Writer {
    switch (desc.fieldKind) {
      case "list":
        return listWriter(this.element(desc));
      case "map":
        return mapWriter(this.element(desc));
      default:
        return this.element(desc);
    }
  }

  /** The writer of the value of a singular field, of an element of a list, or of a value of a map. */
  element(desc: DescField): Writer {
    const place = desc.toString().replace(/^field /, "");
    if (desc.enum !== undefined) return enumWriter(desc.enum, this.format.enums, place);
    if (desc.message === undefined) return scalarWriter(desc.scalar, this.format.int64, place);
    const shape = localShape(desc);
    if (shape === "struct") return bareWriter((value) => writeJsonValue(value, place));
    if (shape === "wrapped") {
      return scalarWriter(wrapped(desc.message) ?? ScalarType.STRING, this.format.int64, place);
    }
    return wellKnownWriter(desc.message, this.format.int64, place) ?? this.message(desc.message);
  }
}

class CompiledWriter implements MessageWriter {
  readonly open: string;
  readonly #desc: DescMessage;
  readonly #compiler: WriterCompiler;
  readonly #members: AppendMember[] = [];
  /** Writers of single fields, each compiled at its first use. */
  readonly #values = new Map<DescField, Writer>();
  readonly #wellKnown: Writer | undefined;

  constructor(desc: DescMessage, compiler: WriterCompiler) {
    this.#desc = desc;
    this.#compiler = compiler;
    this.#wellKnown =
      desc.typeName === AnySchema.typeName
        ? anyWriter((type) => compiler.message(type))
        : wellKnownWriter(desc, compiler.format.int64, desc.typeName);
    this.open = this.#wellKnown?.open ?? "{";
  }

  compile(): void {
    for (const field of this.#desc.fields.toSorted((a, b) => a.number - b.number)) {
      this.#members.push(compileMember(field, this.#compiler));
    }
  }

  append(out: string, value: unknown, context: WriteContext): string {
    if (this.#wellKnown !== undefined) return this.#wellKnown.append(out, value, context);
    return this.members(out, value as Message, context, out.length) + "}"; // By the descriptor.
  }

  members(out: string, message: Message, context: WriteContext, base: number): string {
    if (message.$typeName !== this.#desc.typeName) {
      throw unwritable(this.#desc.typeName, `the value is a ${message.$typeName}`);
    }
    const fields = fieldsOf(message);
    const members = this.#members;
    for (let i = 0; i < members.length; i++) out = members[i]?.(out, fields, context, base) ?? out;
    if (message.$unknown !== undefined && context.registry !== undefined) {
      return appendExtensions(out, message, this.#desc, this.#compiler, context.registry, context, base);
    }
    return out;
  }

  writeField(desc: DescField, message: Message, context: WriteContext): string {
    const fields = fieldsOf(message);
    let value = fields[desc.localName];
    if (desc.oneof !== undefined) {
      const oneof = oneofOf(fields, desc.oneof.localName);
      value = oneof.case === desc.localName ? oneof.value : undefined;
    } else if (
      desc.presence !== FeatureSet_FieldPresence.IMPLICIT &&
      !Object.hasOwn(fields, desc.localName)
    ) {
      return "null";
    }
    if (value === undefined) return "null";
    let writer = this.#values.get(desc);
    if (writer === undefined) {
      writer = this.#compiler.value(desc);
      this.#values.set(desc, writer);
    }
    return writer.append(writer.open, value, context);
  }
}

function compileMember(desc: DescField, compiler: WriterCompiler): AppendMember {
  const { localName } = desc;
  const writer = compiler.value(desc);
  const name = compiler.format.fieldNames === "json" ? desc.jsonName : desc.name;
  if (desc.oneof !== undefined) return appendOneof(name, localName, desc.oneof.localName, writer);
  if (desc.fieldKind === "message")
    return appendWhere(name, localName, writer, (value) => value !== undefined);
  if (
    desc.fieldKind !== "list" &&
    desc.fieldKind !== "map" &&
    desc.presence !== FeatureSet_FieldPresence.IMPLICIT
  ) {
    // Unset fields have their default on the prototype.
    const isSet = (value: unknown, fields: Fields): boolean =>
      value !== undefined && Object.hasOwn(fields, localName);
    return appendWhere(name, localName, writer, isSet);
  }
  if (compiler.format.defaults === "emit") return appendValue(name, localName, writer);
  const isDefault = defaultTest(desc);
  return appendWhere(name, localName, writer, (value) => !isDefault(value));
}

function appendExtensions(
  out: string,
  message: Message,
  desc: DescMessage,
  compiler: WriterCompiler,
  registry: Registry,
  context: WriteContext,
  base: number,
): string {
  let text = out;
  for (const number of new Set(message.$unknown?.map(({ no }) => no))) {
    const extension = registry.getExtensionFor(desc, number);
    if (extension === undefined) continue;
    const value: unknown = getExtension(message, extension);
    text = compiler.extension(extension)(text, { value }, context, base);
  }
  return text;
}
