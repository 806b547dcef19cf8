import {
  create,
  type DescExtension,
  type DescField,
  type DescMessage,
  type Message,
  type ScalarType,
} from "@bufbuild/protobuf";
import { AnySchema, hasCustomJsonRepresentation, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { isNullValue } from "./enum-names.ts";

/** A message by its property names, for code that gets the names from descriptors. */
export type Fields = Record<string, unknown>;

/** The same message as {@link Fields}: `Message` alone hides the properties that all messages have. */
export function fieldsOf(message: Message): Fields {
  return message;
}

/** A oneof of a message by its property. */
export function oneofOf(
  fields: Fields,
  localName: string,
): { readonly case: string | undefined; readonly value?: unknown } {
  return fields[localName] as ReturnType<typeof oneofOf>; // Every oneof is such an object.
}

/** Sets a field of a message of its type, in its oneof if it is a member of one. */
export function setField(
  into: Message,
  { oneof, localName }: Pick<DescField, "oneof" | "localName">,
  value: unknown,
): void {
  if (oneof === undefined) setOwn(fieldsOf(into), localName, value);
  else setOwn(fieldsOf(into), oneof.localName, { case: localName, value });
}

/** An extension as if it were a field of the message that it extends, with a name of its property. */
export function extensionField(extension: DescExtension, localName: string): DescField {
  const field = { ...extension, kind: "field", parent: extension.extendee, localName };
  return field as unknown as DescField; // Extensions have all else that fields have.
}

/** The scalar inside of one of `google/protobuf/wrappers.proto`; undefined for all other messages. */
export function wrapped(desc: DescMessage): ScalarType | undefined {
  return isWrapperDesc(desc) ? desc.fields[0]?.scalar : undefined;
}

/** Whether messages of a type are anything but an object of their fields in JSON. */
export function hasOwnJsonForm(desc: DescMessage): boolean {
  return hasCustomJsonRepresentation(desc) || desc.typeName === AnySchema.typeName;
}

/** Whether values of a type have a JSON of free shape: what is in it is the caller's choice. */
export function hasFreeForm(desc: DescMessage | undefined): boolean {
  switch (desc?.typeName) {
    case "google.protobuf.Any":
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      return true;
    default:
      return false;
  }
}

/** Whether a field of messages has them between two tags and not behind their length. */
export function isDelimited(field: DescField): boolean {
  return field.fieldKind !== "map" && field.message !== undefined && field.delimitedEncoding;
}

/** Whether JSON `null` is a value of a field and does not mean that it is unset. */
export function takesNull(field: DescField): boolean {
  if (field.fieldKind === "list" || field.fieldKind === "map") return false;
  return field.message?.typeName === "google.protobuf.Value" || isNullValue(field.enum);
}

/** How a message-typed field holds its value: the message, the scalar of a wrapper, or a Struct's plain object. */
export function localShape(field: DescField & { message: DescMessage }): "message" | "wrapped" | "struct" {
  if (
    field.message.typeName === "google.protobuf.Struct" &&
    field.parent.typeName !== "google.protobuf.Value"
  ) {
    return "struct";
  }
  const singular = field.fieldKind === "message" && field.oneof === undefined;
  return singular && isWrapperDesc(field.message) ? "wrapped" : "message";
}

/** Sets an own property, even one named `__proto__`: an assignment to that name would set the prototype. */
export function setOwn(target: Fields, name: string, value: unknown): void {
  if (name !== "__proto__") target[name] = value;
  else Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * The same function many times. The engine keeps the object shapes it has seen per place in the code, and copies
 * several times faster at a place that has seen few; message types are spread over these places in turn.
 */
const copies: readonly ((template: Fields) => Fields)[] = [
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
  (template) => ({ ...template }),
];
let nextCopy = 0;

/** An empty message of a type; undefined for types that a literal cannot make, such as those that track presence by a prototype. */
export function plainSample(desc: DescMessage): Fields | undefined {
  const sample = fieldsOf(create(desc));
  const isPlain = Object.getPrototypeOf(sample) === Object.prototype && !Object.hasOwn(sample, "__proto__");
  return isPlain ? sample : undefined;
}

/**
 * A function that makes empty messages, equal to what `create(schema)` returns and several times faster: copying an
 * object of the final shape spares adding its properties one by one.
 */
export function messageFactory(schema: DescMessage): () => Message {
  const sample = create(schema);
  // Types that track presence by a prototype are left to protobuf-es.
  if (Object.getPrototypeOf(sample) !== Object.prototype) return () => create(schema);
  const lists: string[] = [];
  const maps: string[] = [];
  const oneofs: string[] = [];
  for (const member of schema.members) {
    if (member.kind === "oneof") oneofs.push(member.localName);
    else if (member.fieldKind === "list") lists.push(member.localName);
    else if (member.fieldKind === "map") maps.push(member.localName);
  }
  // Parsing gives an object in the engine's compact form even with many properties; adding them would not.
  const template = JSON.parse(
    JSON.stringify(sample, (_, value: unknown) => (isPlain(value) ? value : 0)),
  ) as Fields;
  Object.assign(template, sample);
  const copy = copies[nextCopy++ % copies.length] ?? ((object: Fields) => ({ ...object }));
  return () => {
    const message = copy(template);
    for (const name of lists) message[name] = [];
    for (const name of maps) message[name] = {};
    for (const name of oneofs) message[name] = { case: undefined };
    return message as unknown as Message; // It has all properties of the sample.
  };
}

function isPlain(value: unknown): boolean {
  return typeof value !== "bigint" && !(value instanceof Uint8Array);
}
