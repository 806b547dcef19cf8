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
import { type Any, AnySchema, hasCustomJsonRepresentation } from "@bufbuild/protobuf/wkt";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { type Fields, fieldsOf, localShape, wrapped } from "./field-shape.ts";
import { enumWriter, type Int64Format, quoteText, scalarWriter, unwritable } from "./write-scalars.ts";
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

type WriteValue = (value: unknown, context: WriteContext) => string;

/** The text of a member with a comma before it, or nothing where the field is left out. */
type WriteMember = (fields: Fields, context: WriteContext) => string;

/** Messages inside of messages that `Any` may hold; more would only serve to exhaust the stack. */
const maxAnyDepth = 100;

/** The compiled writer of one message type. */
export interface MessageWriter {
  /** The JSON text of a message. */
  write(message: Message, context: WriteContext): string;
  /** The members of a message that is an object in JSON, each with a comma before it. */
  members(message: Message, context: WriteContext): string;
  /** The JSON text of the value of one field: `null` for an unset message, else its value or its default. */
  writeField(desc: DescField, message: Message, context: WriteContext): string;
}

/** Compiles writers of one format; types are compiled once, when somebody first asks for them. */
export class WriterCompiler {
  readonly format: WriteFormat;
  readonly #writers = new WeakMap<DescMessage, MessageWriter>();
  readonly #extensions = new WeakMap<DescExtension, WriteMember>();

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
  extension(desc: DescExtension): WriteMember {
    let writer = this.#extensions.get(desc);
    if (writer === undefined) {
      const field = {
        ...desc,
        kind: "field",
        parent: desc.extendee,
        localName: "value",
      } as unknown as DescField;
      const prefix = `,${JSON.stringify(desc.jsonName)}:`;
      const write = this.value(field);
      writer = (fields, context) => prefix + write(fields["value"], context);
      this.#extensions.set(desc, writer);
    }
    return writer;
  }

  /** The writer of what a field of any kind holds. */
  value(desc: DescField): WriteValue {
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
  element(desc: DescField): WriteValue {
    const place = desc.toString().replace(/^field /, "");
    if (desc.enum !== undefined) return enumWriter(desc.enum, this.format.enums, place);
    if (desc.message === undefined) return scalarWriter(desc.scalar, this.format.int64, place);
    const shape = localShape(desc);
    if (shape === "struct") return (value) => writeJsonValue(value, place);
    if (shape === "wrapped") {
      return scalarWriter(wrapped(desc.message) ?? ScalarType.STRING, this.format.int64, place);
    }
    const wellKnown = wellKnownWriter(desc.message, this.format.int64, place);
    // The casts follow from the descriptor: the field holds messages.
    if (wellKnown !== undefined) return (value) => wellKnown(value as Message);
    const writer = this.message(desc.message);
    return (value, context) => writer.write(value as Message, context);
  }
}

class CompiledWriter implements MessageWriter {
  readonly #desc: DescMessage;
  readonly #compiler: WriterCompiler;
  readonly #members: WriteMember[] = [];
  readonly #wellKnown: ((message: Message, context: WriteContext) => string) | undefined;

  constructor(desc: DescMessage, compiler: WriterCompiler) {
    this.#desc = desc;
    this.#compiler = compiler;
    this.#wellKnown =
      desc.typeName === AnySchema.typeName
        ? (message, context) => writeAny(message as Any, compiler, context) // By its type name.
        : wellKnownWriter(desc, compiler.format.int64, desc.typeName);
  }

  compile(): void {
    if (this.#wellKnown !== undefined) return;
    for (const field of this.#desc.fields.toSorted((a, b) => a.number - b.number)) {
      this.#members.push(compileMember(field, this.#compiler));
    }
  }

  write(message: Message, context: WriteContext): string {
    if (this.#wellKnown !== undefined) return this.#wellKnown(message, context);
    const members = this.members(message, context);
    return members === "" ? "{}" : `{${members.slice(1)}}`;
  }

  members(message: Message, context: WriteContext): string {
    if (message.$typeName !== this.#desc.typeName) {
      throw unwritable(this.#desc.typeName, `the message is a ${message.$typeName}`);
    }
    const fields = fieldsOf(message);
    let text = "";
    for (const write of this.#members) text += write(fields, context);
    if (message.$unknown !== undefined && context.registry !== undefined) {
      text += writeExtensions(message, this.#desc, this.#compiler, context.registry, context);
    }
    return text;
  }

  writeField(desc: DescField, message: Message, context: WriteContext): string {
    const fields = fieldsOf(message);
    const oneof = desc.oneof === undefined ? undefined : oneofOf(fields, desc.oneof.localName);
    if (oneof !== undefined && oneof.case !== desc.localName) return "null";
    const value = oneof === undefined ? fields[desc.localName] : oneof.value;
    return value === undefined ? "null" : this.#compiler.value(desc)(value, context);
  }
}

function oneofOf(fields: Fields, localName: string): { case: string | undefined; value?: unknown } {
  return fields[localName] as { case: string | undefined; value?: unknown }; // Every oneof is such an object.
}

function compileMember(desc: DescField, compiler: WriterCompiler): WriteMember {
  const { localName } = desc;
  const name = compiler.format.fieldNames === "json" ? desc.jsonName : desc.name;
  const prefix = `,${JSON.stringify(name)}:`;
  const write = compiler.value(desc);
  const emit = compiler.format.defaults === "emit";
  if (desc.oneof !== undefined) {
    const oneofName = desc.oneof.localName;
    return (fields, context) => {
      const oneof = oneofOf(fields, oneofName);
      return oneof.case === localName ? prefix + write(oneof.value, context) : "";
    };
  }
  if (desc.fieldKind === "message") {
    return (fields, context) => {
      const value = fields[localName];
      return value === undefined ? "" : prefix + write(value, context);
    };
  }
  if (desc.fieldKind === "list" || desc.fieldKind === "map") {
    const empty = desc.fieldKind === "list" ? "[]" : "{}";
    return (fields, context) => {
      const text = write(fields[localName], context);
      return text === empty && !emit ? "" : prefix + text;
    };
  }
  if (desc.presence !== FeatureSet_FieldPresence.IMPLICIT) {
    // Unset fields have their default on the prototype.
    return (fields, context) => {
      const value = fields[localName];
      return value === undefined || !Object.hasOwn(fields, localName) ? "" : prefix + write(value, context);
    };
  }
  if (emit) return (fields, context) => prefix + write(fields[localName], context);
  const isDefault = defaultTest(desc);
  return (fields, context) => {
    const value = fields[localName];
    return isDefault(value) ? "" : prefix + write(value, context);
  };
}

function defaultTest(
  desc: DescField & ({ fieldKind: "scalar" } | { fieldKind: "enum" }),
): (value: unknown) => boolean {
  if (desc.fieldKind === "enum") {
    const first = desc.enum.values[0]?.number;
    return (value) => value === first;
  }
  switch (desc.scalar) {
    case ScalarType.BYTES:
      return (value) => value instanceof Uint8Array && value.length === 0;
    case ScalarType.STRING:
      return (value) => value === "";
    case ScalarType.BOOL:
      return (value) => value === false;
    default:
      // Minus zero is no default.
      return (value) => Object.is(value, 0) || value === 0n || value === "0";
  }
}

function listWriter(write: WriteValue): WriteValue {
  return (value, context) => {
    const values = value as readonly unknown[]; // Repeated fields hold arrays.
    let text = "[";
    let separator = "";
    for (const element of values) {
      text += separator + write(element, context);
      separator = ",";
    }
    return `${text}]`;
  };
}

function mapWriter(write: WriteValue): WriteValue {
  return (value, context) => {
    const values = value as Fields; // Map fields hold objects.
    let text = "{";
    let separator = "";
    for (const key of Object.keys(values)) {
      text += `${separator}${quoteText(key)}:${write(values[key], context)}`;
      separator = ",";
    }
    return `${text}}`;
  };
}

function writeExtensions(
  message: Message,
  desc: DescMessage,
  compiler: WriterCompiler,
  registry: Registry,
  context: WriteContext,
): string {
  let text = "";
  for (const number of new Set(message.$unknown?.map(({ no }) => no))) {
    const extension = registry.getExtensionFor(desc, number);
    if (extension === undefined) continue;
    text += compiler.extension(extension)({ value: getExtension(message, extension) }, context);
  }
  return text;
}

function writeAny(any: Any, compiler: WriterCompiler, context: WriteContext): string {
  const { typeUrl } = any;
  if (typeUrl === "") return "{}";
  const typeName = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const desc = context.registry?.getMessage(typeName);
  if (desc === undefined) throw unwritable("google.protobuf.Any", `the type ${typeName} is not known here`);
  if (context.anyDepth >= maxAnyDepth) throw unwritable("google.protobuf.Any", "it is nested too deeply");
  context.anyDepth++;
  const writer = compiler.message(desc);
  const message = unpack(desc, any);
  const rest = hasCustomJsonRepresentation(desc)
    ? `,"value":${writer.write(message, context)}`
    : writer.members(message, context);
  context.anyDepth--;
  return `{"@type":${quoteText(typeUrl)}${rest}}`;
}

function unpack(desc: DescMessage, any: Any): Message {
  try {
    return fromBinary(desc, any.value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unwritable("google.protobuf.Any", `its bytes are no ${desc.typeName}: ${reason}`);
  }
}
