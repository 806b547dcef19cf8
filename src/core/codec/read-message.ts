import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { compileAll } from "./compile-all.ts";
import {
  type Fields,
  fieldsOf,
  hasFreeForm,
  localShape,
  messageFactory,
  oneofOf,
  takesNull,
  wrapped,
} from "./field-shape.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { unknownStep } from "./json-trace.ts";
import { readAny, readTypedValue } from "./read-any.ts";
import { listReader, mapReader } from "./read-containers.ts";
import { enumReader } from "./read-enums.ts";
import { type FieldReader, readExtension } from "./read-extension.ts";
import { type ReadValue, scalarReader } from "./read-scalars.ts";
import { readJsonObject, wellKnownReader } from "./read-well-known.ts";

const quote = 0x22;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const letterN = 0x6e;

/** A spelling of a field's name in JSON. */
interface Spelling {
  /** The name in quotes and the colon, as compact writers print it. */
  readonly text: string;
  readonly field: FieldReader;
  /** The spelling that followed in the text before: clients mostly send the same order. */
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
  compileAll(reader);
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
  /** Its `next` is the spelling of the first member in the text before. */
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
          else if (!readExtension(cursor, message, name, compileField)) cursor.skipUnknown();
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
        // The field keeps its default where its value was dropped.
        if (value !== undefined) fields[field.localName] = value;
      } else setOneof(cursor, fields, field, field.oneof);
    } while (cursor.more(closeBrace));
  }
}

function setOneof(cursor: JsonCursor, fields: Fields, field: FieldReader, oneof: string): void {
  const value = field.read(cursor);
  if (value === undefined) return;
  const { case: current } = oneofOf(fields, oneof);
  if (current !== undefined) cursor.refuse(`another member of the oneof is set: ${current}`);
  fields[oneof] = { case: field.localName, value };
}

function compileField(desc: DescField, index = 0): FieldReader {
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
