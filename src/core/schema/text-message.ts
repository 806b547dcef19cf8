import { create, ScalarType, type DescEnum, type DescMessage, type Message } from "@bufbuild/protobuf";
import { reflect, scalarZeroValue, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import type { TextValue } from "./text-format.ts";

/** The type of a single value: of a field, a list item or a map key or value. */
interface SingleType {
  readonly scalar?: ScalarType | undefined;
  readonly enum?: DescEnum | undefined;
  readonly message?: DescMessage | undefined;
}

/**
 * Converts a value in text format to a message. Well-known types have no special form in text format: a Duration is
 * `{seconds: 5}`, a wrapper `{value: 3}`, an entry of a map `{key: "a" value: 1}`.
 *
 * @throws Error naming the message and the field that is unknown or whose value has the wrong type
 */
export function textToMessage(schema: DescMessage, value: TextValue): Message {
  return read(schema, value).message;
}

function read(schema: DescMessage, value: TextValue): ReflectMessage {
  if (value.kind !== "message") throw new Error(`expected a ${schema.typeName} in braces`);
  const message = reflect(schema, create(schema));
  for (const { name, values } of value.fields) {
    const field =
      message.findNumber(Number(/^\d+$/.exec(name)?.[0] ?? 0)) ??
      schema.fields.find((candidate) => candidate.name === name || groupName(candidate) === name);
    if (field === undefined) throw new Error(`${schema.typeName} has no field ${name}`);
    for (const item of values) {
      switch (field.fieldKind) {
        case "list":
          message.get(field).add(single(field, item, name));
          break;
        case "map":
          message.get(field).set(
            single({ scalar: field.mapKey }, entryPart(item, "key"), name), // Map keys are such scalars.
            single(field, entryPart(item, "value"), name),
          );
          break;
        default:
          message.set(field, single(field, item, name));
      }
    }
  }
  return message;
}

/** The name of a group in text format is that of its message. */
function groupName({ message, proto }: { message: DescMessage | undefined; proto: { type: number } }) {
  return proto.type === 10 ? message?.name : undefined; // TYPE_GROUP.
}

function entryPart(entry: TextValue, part: string): TextValue | undefined {
  if (entry.kind !== "message") throw new Error("an entry of a map is written {key: … value: …}");
  return entry.fields.find(({ name }) => name === part)?.values[0];
}

/** A value, or the default if it is missing in an entry of a map. */
function single(type: SingleType, value: TextValue | undefined, name: string) {
  if (type.message !== undefined) return read(type.message, value ?? { kind: "message", fields: [] });
  if (value !== undefined) return textToScalar(type, value, name);
  if (type.enum !== undefined) return type.enum.values[0]?.number ?? 0;
  return scalarZeroValue(type.scalar ?? ScalarType.INT32, false);
}

/**
 * Converts a value to a scalar or to the number of an enum value.
 *
 * @throws Error naming `name` if the value has the wrong type
 */
export function textToScalar(type: SingleType, value: TextValue, name: string) {
  const text = value.kind === "word" ? value.text : value.kind === "string" ? decode(value.bytes) : "{…}";
  const wrong = (what: string): Error => new Error(`${name}: expected ${what}, found ${text}`);
  if (value.kind === "message") throw wrong("a single value");
  if (type.enum !== undefined) {
    const found = type.enum.values.find((candidate) => candidate.name === text)?.number;
    const number = found ?? (/^-?\d+$/.test(text) ? Number(text) : undefined);
    if (number === undefined) throw wrong(`a value of ${type.enum.typeName}`);
    return number;
  }
  switch (type.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      if (value.kind !== "string") throw wrong("a string");
      return type.scalar === ScalarType.STRING ? text : value.bytes;
    case ScalarType.BOOL:
      if (/^(?:true|True|t|1)$/.test(text)) return true;
      if (/^(?:false|False|f|0)$/.test(text)) return false;
      throw wrong("true or false");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return toNumber(text) ?? throwing(wrong("a number"));
    default: {
      const integer = toInteger(text) ?? throwing(wrong("an integer"));
      return isLong(type.scalar) ? integer : Number(integer);
    }
  }
}

function throwing(error: Error): never {
  throw error;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function toNumber(text: string): number | undefined {
  if (/^-?inf(?:inity)?f?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^-?nanf?$/i.test(text)) return Number.NaN;
  const digits = text.replace(/(?<=[\d.])[fF]$/, "");
  return digits === "" || Number.isNaN(Number(digits)) ? undefined : Number(digits);
}

function toInteger(text: string): bigint | undefined {
  const [, sign, digits = ""] = /^(-?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text) ?? [];
  if (digits === "") return undefined;
  const value = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

function isLong(type: ScalarType | undefined): boolean {
  return (
    type === ScalarType.INT64 ||
    type === ScalarType.UINT64 ||
    type === ScalarType.SINT64 ||
    type === ScalarType.FIXED64 ||
    type === ScalarType.SFIXED64
  );
}
