import { clearField, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { isUtf8 } from "node:buffer";
import { invalidArgument } from "../errors/errors.ts";
import { hasOwnJsonForm, setField } from "./field-shape.ts";
import { codeIsAllowed, type Generated } from "./generated-code.ts";
import { JsonCursor } from "./json-cursor.ts";
import { messageTaker, type TakeMessage } from "./json-to-message-code.ts";
import { entryLimit, jsonReadDefaults, type JsonReadOptions } from "./json-trace.ts";
import { type MessageReader, messageReader } from "./read-message.ts";
import { asBuffer, seen } from "./scratch.ts";
import { skipSpace } from "./take-json.ts";

export type { JsonReadOptions } from "./json-trace.ts";

/**
 * Reads messages of one type from JSON text by the proto3 JSON mapping, without a tree in between.
 *
 * Stricter than the mapping where text would be lost or guessed: numbers are exact or refused, names may stand only
 * once (as `fooBar` and `foo_bar` together, too), unknown names of enums (unless `unknownEnums` says otherwise) and
 * lone surrogates are refused.
 * Every failure is INVALID_ARGUMENT with a violation that carries the field's path in proto names.
 *
 * @see https://protobuf.dev/programming-guides/json/
 */
export interface JsonReader {
  /** Reads a whole message; the text has to be one JSON value with nothing behind it. */
  read(text: string): Message;
  /** Reads a whole message from the UTF-8 bytes of its text, faster than from the text. */
  readBytes(json: Uint8Array): Message;
  /** The same where the text is as clients write it; undefined for all others, good or bad. */
  readDirectly(json: Uint8Array): Message | undefined;
  /**
   * Reads the JSON value of one field and sets it in `into`, replacing what is there; `null` leaves the field unset
   * (for `google.protobuf.Value` it is a value). `field` belongs to the message type of this reader or of any other
   * message, then `into` has to be of that type.
   */
  readField(field: DescField, text: string, into: Message): void;
}

/** The reader of a message type. Compiling happens once per type; a reader itself is cheap. */
export function jsonReader(schema: DescMessage, options?: Partial<JsonReadOptions>): JsonReader {
  return new CompiledJsonReader(schema, { ...jsonReadDefaults, ...options });
}

class CompiledJsonReader implements JsonReader {
  readonly #reader: MessageReader;
  readonly #take: Generated<TakeMessage> | undefined;
  readonly #options: JsonReadOptions;

  constructor(schema: DescMessage, options: JsonReadOptions) {
    this.#reader = messageReader(schema);
    this.#take = codeIsAllowed && !hasOwnJsonForm(schema) ? messageTaker(schema) : undefined;
    this.#options = options;
  }

  read(text: string): Message {
    const cursor = new JsonCursor(text, this.#options);
    cursor.next();
    const message = this.#reader.read(cursor);
    cursor.finish();
    return message;
  }

  readBytes(json: Uint8Array): Message {
    return this.readDirectly(json) ?? this.read(decodeUtf8(json));
  }

  readDirectly(json: Uint8Array): Message | undefined {
    if (this.#take === undefined || !isUtf8(json)) return undefined;
    const from = asBuffer(json);
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    seen.registry = this.#options.registry;
    seen.left = entryLimit(this.#options.maxEntries);
    try {
      const start = skipSpace(from, 0);
      const message = this.#take.run(from, view, from.toString("latin1"), start, this.#options.maxDepth);
      return skipSpace(from, seen.pos) === from.length ? message : undefined;
    } catch {
      return undefined;
    }
  }

  readField(field: DescField, text: string, into: Message): void {
    const reader = messageReader(field.parent).field(field);
    const cursor = new JsonCursor(text, this.#options, reader);
    let value: unknown;
    if (cursor.next() === 0x6e && !reader.takesNull) cursor.readWord("null");
    else value = reader.read(cursor);
    cursor.finish();
    if (value === undefined) clearField(into, field);
    else setField(into, field, value);
  }
}

/** The text of UTF-8 bytes, without a byte order mark. Throws INVALID_ARGUMENT where the bytes are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw invalidArgument("the text is not valid UTF-8");
  const text = asBuffer(bytes).toString();
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
