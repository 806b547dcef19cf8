import {
  type DescExtension,
  type DescField,
  type DescMessage,
  fromBinary,
  getExtension,
  type Message,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  type Any,
  AnySchema,
  FeatureSet_FieldPresence,
  hasCustomJsonRepresentation,
} from "@bufbuild/protobuf/wkt";
import { defaultTest } from "./field-defaults.ts";
import { formatBase64 } from "./base64-text.ts";
import { type Fields, fieldsOf, localShape, wrapped } from "./field-shape.ts";
import { messageType } from "./standard-types.ts";
import { listWriter, mapWriter } from "./write-containers.ts";
import { enumWriter } from "./write-enums.ts";
import {
  bareWriter,
  type Int64Format,
  quoteText,
  scalarWriter,
  unwritable,
  type ValueWriter,
} from "./write-scalars.ts";
import { wellKnownWriter, writeJsonValue } from "./write-well-known.ts";

/** The choices that are compiled into a writer. */
export interface WriteFormat {
  readonly fieldNames: "json" | "proto";
  readonly enums: "name" | "number";
  readonly defaults: "emit" | "omit";
  readonly int64: Int64Format;
}

/** What a writer needs at the call: types by name, and how deep it is inside of `Any`s. */
export interface WriteContext {
  readonly registry: Registry | undefined;
  anyDepth: number;
}

type Writer = ValueWriter<WriteContext>;

/** Appends a member where its field is printed; members after the first, which begins at `base`, need a comma. */
type AppendMember = (out: string, fields: Fields, context: WriteContext, base: number) => string;

/** Messages inside of messages that `Any` may hold; more would only serve to exhaust the stack. */
const maxAnyDepth = 100;

/** The compiled writer of one message type. */
export interface MessageWriter extends Writer {
  /** Appends the members of a message that is an object in JSON; each gets a comma unless it begins at `base`. */
  members(out: string, message: Message, context: WriteContext, base: number): string;
  /** The JSON text of the value of one field; `null` where a field with presence is unset. */
  writeField(desc: DescField, message: Message, context: WriteContext): string;
}

/** Compiles writers of one format; types are compiled once, when somebody first asks for them. */
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
      compiled.compile();
    }
    return writer;
  }

  /** The writer of an extension, which is printed like a field named `[pkg.name]`. */
  extension(desc: DescExtension): AppendMember {
    let append = this.#extensions.get(desc);
    if (append === undefined) {
      const field = {
        ...desc,
        kind: "field",
        parent: desc.extendee,
        localName: "value",
      } as unknown as DescField;
      append = appendValue(desc.jsonName, "value", this.value(field));
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
  /** Writers of single fields, compiled when somebody first asks for one. */
  readonly #values = new Map<DescField, Writer>();
  readonly #wellKnown: Writer | undefined;

  constructor(desc: DescMessage, compiler: WriterCompiler) {
    this.#desc = desc;
    this.#compiler = compiler;
    this.#wellKnown =
      desc.typeName === AnySchema.typeName
        ? anyWriter(compiler)
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

function oneofOf(fields: Fields, localName: string): { case: string | undefined; value?: unknown } {
  return fields[localName] as { case: string | undefined; value?: unknown }; // Every oneof is such an object.
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

/** Appends a member always. */
function appendValue(name: string, localName: string, writer: Writer): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) =>
    writer.append(out + (out.length === base ? first : later), fields[localName], context);
}

/** Appends a member if its value passes the test. */
function appendWhere(
  name: string,
  localName: string,
  writer: Writer,
  test: (value: unknown, fields: Fields) => boolean,
): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) => {
    const value = fields[localName];
    return test(value, fields)
      ? writer.append(out + (out.length === base ? first : later), value, context)
      : out;
  };
}

/** Appends a member of a oneof if it is the one that is set. */
function appendOneof(name: string, localName: string, oneofName: string, writer: Writer): AppendMember {
  const first = `${JSON.stringify(name)}:${writer.open}`;
  const later = `,${first}`;
  return (out, fields, context, base) => {
    const oneof = oneofOf(fields, oneofName);
    if (oneof.case !== localName) return out;
    return writer.append(out + (out.length === base ? first : later), oneof.value, context);
  };
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

function anyWriter(compiler: WriterCompiler): Writer {
  return { open: "{", append: (out, value, context) => appendAny(out, value as Any, compiler, context) };
}

function appendAny(out: string, any: Any, compiler: WriterCompiler, context: WriteContext): string {
  const { typeUrl } = any;
  if (typeUrl === "") return `${out}}`;
  const typeName = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const desc = messageType(typeName, context.registry);
  // A reply that came is never lost for what it carries along.
  if (desc === undefined) {
    return `${out}"@type":${quoteText(typeUrl)},"value":"${formatBase64(any.value)}"}`;
  }
  if (context.anyDepth >= maxAnyDepth) throw unwritable("google.protobuf.Any", "it is nested too deeply");
  context.anyDepth++;
  const writer = compiler.message(desc);
  const message = unpack(desc, any);
  const typed = `${out}"@type":${quoteText(typeUrl)}`;
  const text = hasCustomJsonRepresentation(desc)
    ? writer.append(`${typed},"value":${writer.open}`, message, context)
    : writer.members(typed, message, context, -1);
  context.anyDepth--;
  return `${text}}`;
}

function unpack(desc: DescMessage, any: Any): Message {
  try {
    return fromBinary(desc, any.value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unwritable("google.protobuf.Any", `its bytes are no ${desc.typeName}: ${reason}`);
  }
}
