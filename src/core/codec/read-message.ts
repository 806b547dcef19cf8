import {
  type DescExtension,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  setExtension,
} from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import {
  type Fields,
  fieldsOf,
  hasFreeForm,
  localShape,
  messageFactory,
  setOwn,
  takesNull,
  wrapped,
} from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { unknownStep } from "./json-trace.ts";
import { mapKeyParser } from "./map-keys.ts";
import { missingFields } from "./required-fields.ts";
import { readAny, readTypedValue } from "./read-any.ts";
import { enumReader } from "./read-enums.ts";
import { type ReadValue, scalarReader } from "./read-scalars.ts";
import { readJsonObject, wellKnownReader } from "./read-well-known.ts";

const quote = 0x22;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const letterN = 0x6e;

/** How the value of one field is read and where it goes. */
export interface FieldReader {
  /** The proto name, for paths. */
  readonly name: string;
  /** The property of the message, or of its oneof's value. */
  readonly localName: string;
  /** The property of the oneof that the field is a member of. */
  readonly oneof: string | undefined;
  /** Whether `null` is a value of the field and does not mean unset. */
  readonly takesNull: boolean;
  readonly index: number;
  readonly read: ReadValue;
}

/** A spelling of a field's name in JSON. */
interface Spelling {
  /** The name in quotes and the colon, as compact writers print it. */
  readonly text: string;
  readonly field: FieldReader;
  /** The spelling that followed last time: most callers always send the same order. */
  next: Spelling | undefined;
}

/** The compiled reader of one message type. */
export interface MessageReader {
  /** Reads a message at the cursor. */
  read(cursor: JsonCursor): Message;
  /** Reads the message that an `Any` holds, from the object that also has the member `@type`. */
  readTyped(cursor: JsonCursor): Message;
  /** The reader of one field by its descriptor. */
  field(desc: DescField): FieldReader;
}

const readers = new WeakMap<DescMessage, MessageReader>();

/** The reader of a message type: compiled at the first call, then the same one for the life of the descriptor. */
export function messageReader(desc: DescMessage): MessageReader {
  const known = readers.get(desc);
  if (known !== undefined) return known;
  const wellKnown = desc.typeName === AnySchema.typeName ? readAnyMessage : wellKnownReader(desc);
  const reader = new CompiledReader(desc, wellKnown);
  // Known before its fields are compiled, so that recursive types end here.
  readers.set(desc, reader);
  reader.compile();
  return reader;
}

function readAnyMessage(cursor: JsonCursor): Message {
  return readAny(cursor, (type) => messageReader(type).readTyped(cursor));
}

class CompiledReader implements MessageReader {
  readonly #desc: DescMessage;
  readonly #spellings = new Map<string, Spelling>();
  readonly #fields = new Map<DescField, FieldReader>();
  readonly #newMessage: () => Message;
  readonly #wellKnown: ((cursor: JsonCursor) => Message) | undefined;
  /** Stands before the first member. */
  readonly #start: { next: Spelling | undefined } = { next: undefined };

  constructor(desc: DescMessage, wellKnown: ((cursor: JsonCursor) => Message) | undefined) {
    this.#desc = desc;
    this.#wellKnown = wellKnown;
    this.#newMessage = messageFactory(desc);
  }

  compile(): void {
    for (const [index, desc] of this.#desc.fields.entries()) {
      const field = compileField(desc, index);
      this.#fields.set(desc, field);
      for (const name of [desc.name, desc.jsonName]) {
        this.#spellings.set(name, { text: `${JSON.stringify(name)}:`, field, next: undefined });
      }
    }
  }

  field(desc: DescField): FieldReader {
    const field = this.#fields.get(desc);
    if (field === undefined) throw new TypeError(`${desc.name} is no field of ${this.#desc.typeName}`);
    return field;
  }

  read(cursor: JsonCursor): Message {
    if (this.#wellKnown !== undefined) return this.#wellKnown(cursor);
    const message = this.#newMessage();
    this.#readMembers(cursor, message, false);
    return message;
  }

  readTyped(cursor: JsonCursor): Message {
    if (this.#wellKnown !== undefined) return readTypedValue(cursor, this.#wellKnown);
    const message = this.#newMessage();
    this.#readMembers(cursor, message, true);
    return message;
  }

  #readMembers(cursor: JsonCursor, message: Message, typed: boolean): void {
    const text = cursor.text;
    if (text.charCodeAt(cursor.pos) !== openBrace) cursor.expected("an object");
    const level = cursor.enter();
    if (cursor.next() === closeBrace) return cursor.leave();
    const fields = fieldsOf(message);
    let seen = 0;
    let seenLate: Set<number | string> | undefined;
    let previous: { next: Spelling | undefined } = this.#start;
    do {
      if (cursor.next() !== quote) cursor.unexpected("a member name in double quotes");
      let spelling = previous.next;
      if (spelling !== undefined && text.startsWith(spelling.text, cursor.pos)) {
        cursor.pos += spelling.text.length;
        cursor.next();
      } else {
        const name = cursor.readName();
        spelling = this.#spellings.get(name);
        if (spelling === undefined) {
          cursor.path[level] = unknownStep(name);
          cursor.countEntry();
          seenLate ??= new Set();
          if (seenLate.size === seenLate.add(name).size) cursor.refuse("the member stands here twice");
          if (typed && name === "@type") cursor.skipValue();
          else if (!readExtension(cursor, message, this.#desc, name)) cursor.skipUnknown();
          continue;
        }
        previous.next = spelling;
      }
      previous = spelling;
      const { field } = spelling;
      cursor.path[level] = field;
      if (field.index < 31) {
        const bit = 1 << field.index;
        if ((seen & bit) !== 0) cursor.refuse("the field stands here twice");
        seen |= bit;
      } else {
        seenLate ??= new Set();
        if (seenLate.size === seenLate.add(field.index).size) cursor.refuse("the field stands here twice");
      }
      if (text.charCodeAt(cursor.pos) === letterN && !field.takesNull) cursor.readWord("null");
      else if (field.oneof === undefined) {
        const value = field.read(cursor);
        // A value that was dropped leaves the field as it was made.
        if (value !== undefined) fields[field.localName] = value;
      } else setOneof(cursor, fields, field, field.oneof);
    } while (cursor.more(closeBrace));
  }
}

function setOneof(cursor: JsonCursor, fields: Fields, field: FieldReader, oneof: string): void {
  const value = field.read(cursor);
  if (value === undefined) return;
  const current = fields[oneof] as { case: string | undefined }; // Every oneof of a message is such an object.
  if (current.case !== undefined) cursor.refuse(`another member of the oneof is set: ${current.case}`);
  fields[oneof] = { case: field.localName, value };
}

function compileField(desc: DescField, index: number): FieldReader {
  return {
    name: desc.name,
    localName: desc.localName,
    oneof: desc.oneof?.localName,
    takesNull: takesNull(desc),
    index,
    read: compileValue(desc),
  };
}

function compileValue(desc: DescField): ReadValue {
  switch (desc.fieldKind) {
    case "scalar":
      return scalarReader(desc.scalar, desc.longAsString);
    case "enum":
      return enumReader(desc.enum);
    case "message":
      return compileMessage(desc);
    case "list":
      return listReader(compileElement(desc), hasFreeForm(desc.message));
    case "map":
      return mapReader(desc.mapKey, compileElement(desc));
  }
}

function compileElement(desc: DescField & ({ fieldKind: "list" } | { fieldKind: "map" })): ReadValue {
  if (desc.message !== undefined) return compileMessage(desc);
  if (desc.enum !== undefined) return enumReader(desc.enum);
  return scalarReader(desc.scalar, desc.fieldKind === "list" && desc.longAsString);
}

function compileMessage(desc: DescField & { message: DescMessage }): ReadValue {
  const shape = localShape(desc);
  if (shape === "struct") return readJsonObject;
  if (shape === "wrapped") return scalarReader(wrapped(desc.message) ?? ScalarType.STRING);
  const wellKnown = wellKnownReader(desc.message);
  if (wellKnown !== undefined) return wellKnown;
  const reader = messageReader(desc.message);
  return (cursor) => reader.read(cursor);
}

function listReader(read: ReadValue, counts: boolean): ReadValue {
  return (cursor) => {
    if (cursor.text.charCodeAt(cursor.pos) !== openBracket) cursor.expected("an array");
    const level = cursor.enter();
    const values: unknown[] = [];
    if (cursor.next() === closeBracket) {
      cursor.leave();
      return values;
    }
    let index = 0;
    do {
      cursor.next();
      cursor.path[level] = index++;
      if (counts) cursor.countEntry();
      const value = read(cursor);
      if (value !== undefined) values.push(value);
    } while (cursor.more(closeBracket));
    return values;
  };
}

function mapReader(keyType: ScalarType, read: ReadValue): ReadValue {
  const { parse, what } = mapKeyParser(keyType);
  return (cursor) => {
    if (cursor.text.charCodeAt(cursor.pos) !== openBrace) cursor.expected("an object");
    const level = cursor.enter();
    const values: Fields = {};
    if (cursor.next() === closeBrace) {
      cursor.leave();
      return values;
    }
    let dropped: Set<string> | undefined;
    do {
      const start = cursor.pos;
      const name = cursor.readName();
      cursor.path[level] = name;
      cursor.countEntry();
      const key = parse(name) ?? cursor.expected(`a key that is ${what}`, start);
      if (Object.hasOwn(values, key) || dropped?.has(key)) cursor.refuse("the key stands here twice");
      const value = read(cursor);
      if (value !== undefined) setOwn(values, key, value);
      else (dropped ??= new Set()).add(key);
    } while (cursor.more(closeBrace));
    return values;
  };
}

/** The required fields that the value of an extension lacks, by their paths behind its name. */
function missingInExtension({ message }: DescExtension, value: unknown): string[] {
  const find = message && missingFields(message);
  if (find === undefined) return [];
  // As the reader of an extension of messages has made it.
  return (Array.isArray(value) ? (value as Message[]) : [value as Message]).flatMap(find);
}

const extensions = new WeakMap<DescExtension, FieldReader>();

/** Reads a member such as `[pkg.name]` into the extension of this name; false where the registry knows none. */
function readExtension(cursor: JsonCursor, message: Message, desc: DescMessage, name: string): boolean {
  if (!name.startsWith("[") || !name.endsWith("]")) return false;
  const extension = cursor.options.registry?.getExtension(name.slice(1, -1));
  if (extension?.extendee.typeName !== desc.typeName) return false;
  let reader = extensions.get(extension);
  if (reader === undefined) {
    // An extension is read as if it were a field of the message it extends.
    const field = { ...extension, kind: "field", parent: extension.extendee, localName: extension.typeName };
    reader = { ...compileField(field as unknown as DescField, 0), name };
    extensions.set(extension, reader);
  }
  cursor.path[cursor.depth - 1] = reader;
  if (cursor.next() === letterN && !reader.takesNull) cursor.readWord("null");
  else {
    const value = reader.read(cursor);
    if (value === undefined) return true;
    const missing = missingInExtension(extension, value);
    if (missing.length > 0) cursor.refuseMissing(missing);
    setExtension(message, extension, value as never); // The reader follows the same descriptor.
  }
  return true;
}
