import { type DescField, type DescMessage, isFieldSet, type Message, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { fieldsOf } from "../core/codec/field-shape.ts";
import { SetupError } from "../core/errors/setup-error.ts";

/** The text of a field of a message; undefined for one that is unset or empty. */
export interface MessageField {
  /** Its path in the contract, for example `order.id`. */
  readonly path: string;
  textOf(message: Message): string | undefined;
}

/** A field whose value is one text: what it holds is known by its descriptor. */
type OneValue = DescField & { readonly fieldKind: "scalar" | "enum" };

const floats: ReadonlySet<ScalarType> = new Set([ScalarType.FLOAT, ScalarType.DOUBLE]);

/**
 * Compiles what reads a field whose value can be a key or a subject: a text, an integer, a bool, an enum or bytes, of
 * the message or of messages in it.
 *
 * Integers and bools are written as in JSON, enums by their names, bytes in base64url. An integer or enum of 0 is unset
 * where the contract does not distinguish the two; a bool of such a field is always set.
 *
 * @param owner what names the path, for errors, with its file
 * @throws SetupError naming the owner, the option and what is wrong with the path
 */
export function compileField(owner: string, option: string, schema: DescMessage, path: string): MessageField {
  const wrong = (why: string): SetupError =>
    new SetupError(`${owner}: ${option} ${JSON.stringify(path)} ${why}`);
  const parents: DescField[] = [];
  let at = schema;
  const names = path.split(".");
  for (const name of names.slice(0, -1)) {
    const parent = fieldOf(at, name, wrong);
    if (parent.fieldKind !== "message") throw wrong(`goes through ${name}, which is no singular message`);
    parents.push(parent);
    at = parent.message;
  }
  const field = fieldOf(at, names.at(-1) ?? "", wrong);
  if (!isOneValue(field)) {
    throw wrong("is neither a singular text nor an integer, a bool, an enum or bytes");
  }
  const text = textWriter(field);
  return {
    path,
    textOf(message) {
      let holder = message;
      for (const parent of parents) {
        if (!isFieldSet(holder, parent)) return undefined;
        holder = valueOf(holder, parent) as Message; // By its kind, as it was found above.
      }
      if (!isFieldSet(holder, field) && !isPlainBool(field)) return undefined;
      return text(valueOf(holder, field)) || undefined;
    },
  };
}

function fieldOf(schema: DescMessage, name: string, wrong: (why: string) => SetupError): DescField {
  const field = schema.fields.find((candidate) => candidate.name === name);
  if (field !== undefined) return field;
  throw wrong(`names ${JSON.stringify(name)}, which ${schema.typeName} does not have`);
}

function isOneValue(field: DescField): field is OneValue {
  return field.fieldKind === "enum" || (field.fieldKind === "scalar" && !floats.has(field.scalar));
}

/** Whether false cannot be distinguished from unset: it is a value then. */
function isPlainBool(field: DescField): boolean {
  return field.scalar === ScalarType.BOOL && field.oneof === undefined && !hasPresence(field);
}

function hasPresence({ presence }: DescField): boolean {
  return presence !== FeatureSet_FieldPresence.IMPLICIT;
}

function valueOf(message: Message, field: DescField): unknown {
  const fields = fieldsOf(message);
  if (field.oneof === undefined) return fields[field.localName];
  const oneof = fields[field.oneof.localName] as { readonly value?: unknown }; // As all oneofs are.
  return oneof.value;
}

function textWriter(field: OneValue): (value: unknown) => string {
  if (field.fieldKind === "enum") {
    const names = new Map(field.enum.values.map(({ number, name }) => [number, name]));
    return (value) => names.get(Number(value)) ?? String(value);
  }
  if (field.scalar !== ScalarType.BYTES) return String;
  return (value) => Buffer.from(value as Uint8Array).toString("base64url"); // By its type.
}
