import { type DescField, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import type { PutJson } from "./binary-to-json-code.ts";
import { compiledFormat } from "./compiled-format.ts";
import { hasOwnJsonForm } from "./field-shape.ts";
import { codeIsAllowed, type Generated } from "./generated-code.ts";
import { type JsonWriteOptions, jsonWriteDefaults, jsonWriter } from "./message-to-json.ts";
import { putAscii, putPlain } from "./put-json-text.ts";
import { asBuffer, copyBytes, full, irregular, seen, withScratch } from "./scratch.ts";

/**
 * Prints protobuf bytes of one message type as the UTF-8 bytes of JSON text, without building messages where the bytes
 * are as serializers write them. The JSON value is always the one of `jsonWriter(schema).write(fromBinary(schema, bytes))`,
 * and so are the errors; members may come in another order.
 */
export interface BinaryToJson {
  convert(bytes: Uint8Array): Buffer;
  /** The same where no message is needed in between, else undefined. */
  convertDirectly(bytes: Uint8Array): Buffer | undefined;
  /**
   * Prints several of `messages` into one piece, in order and from the index `from` on: as many as need no message in
   * between, until the piece has `pieceBytes`. Undefined where the first needs one.
   */
  convertPiece(messages: readonly Uint8Array[], from: number, frame: PieceFrame): TextPiece | undefined;
}

/** What is printed around each message of a piece. */
export interface PieceFrame {
  /** @param index the place of the message in the piece, from 0 */
  before(index: number, message: Uint8Array): string;
  /** In ASCII. */
  readonly after: string;
}

/** The texts of `count` messages in one piece. */
export interface TextPiece {
  readonly bytes: Buffer;
  readonly count: number;
}

/** A piece gets no further message from this length on, in bytes. */
const pieceBytes = 65_536;

/**
 * The converter of a message type. Code is generated once per type and format; a converter itself is cheap.
 *
 * @param field prints the value of this field in place of the message, as `writeField` of `jsonWriter`
 */
export function binaryToJson(
  schema: DescMessage,
  options?: Partial<JsonWriteOptions>,
  field?: DescField,
): BinaryToJson {
  return new CompiledBinaryToJson(schema, { ...jsonWriteDefaults, ...options }, field);
}

class CompiledBinaryToJson implements BinaryToJson {
  readonly #schema: DescMessage;
  readonly #options: JsonWriteOptions;
  readonly #field: DescField | undefined;
  readonly #put: Generated<PutJson> | undefined;

  constructor(schema: DescMessage, options: JsonWriteOptions, field: DescField | undefined) {
    this.#schema = schema;
    this.#options = options;
    this.#field = field;
    if (!codeIsAllowed || hasOwnJsonForm(schema) || (options.indent ?? 0) > 0) return;
    const { binary } = compiledFormat(options);
    this.#put = field === undefined ? binary.of(schema) : binary.valueOf(field);
  }

  convert(bytes: Uint8Array): Buffer {
    return this.convertDirectly(bytes) ?? Buffer.from(this.#write(bytes));
  }

  #write(bytes: Uint8Array): string {
    const writer = jsonWriter(this.#schema, this.#options);
    const message = fromBinary(this.#schema, bytes);
    return this.#field === undefined ? writer.write(message) : writer.writeField(this.#field, message);
  }

  convertDirectly(bytes: Uint8Array): Buffer | undefined {
    const put = this.#put;
    if (put === undefined) return undefined;
    const from = asBuffer(bytes);
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    return withScratch(
      (out, outView) => {
        this.#begin();
        return this.#checked(put.run(from, view, 0, from.length, out, outView, 0, 1));
      },
      copyBytes,
      from.length * 2,
    );
  }

  convertPiece(messages: readonly Uint8Array[], from: number, frame: PieceFrame): TextPiece | undefined {
    const put = this.#put;
    if (put === undefined) return undefined;
    let count = 0;
    const bytes = withScratch((out, outView) => {
      count = 0;
      let pos = 0;
      // Most messages that arrived together are in one buffer.
      let source: ArrayBufferLike | undefined;
      let all: Buffer = noBytes;
      let view: DataView = noView;
      for (let index = from; index < messages.length && pos < pieceBytes; index++) {
        const message = messages[index] ?? noBytes;
        const { buffer, byteOffset, byteLength } = message;
        if (buffer !== source) {
          source = buffer;
          all = Buffer.from(buffer);
          view = new DataView(buffer);
        }
        try {
          this.#begin();
          let end = putPlain(frame.before(count, message), out, pos);
          end = put.run(all, view, byteOffset, byteOffset + byteLength, out, outView, end, 1);
          pos = putAscii(frame.after, out, this.#checked(end));
          count++;
        } catch (error) {
          if (error === full || count === 0) throw error;
          break; // The message needs another way: the piece ends before it.
        }
      }
      return pos;
    }, copyBytes);
    return bytes && { bytes, count };
  }

  #begin(): void {
    seen.unknown = false;
    seen.registry = this.#options.registry;
  }

  /** `end`, unless unknown fields were seen that may be extensions that the registry knows. */
  #checked(end: number): number {
    if (seen.unknown && this.#options.registry !== undefined) throw irregular;
    return end;
  }
}

const noBytes = Buffer.alloc(0);
const noView = new DataView(noBytes.buffer, 0, 0);
