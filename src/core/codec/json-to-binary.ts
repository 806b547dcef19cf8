import { isUtf8 } from "node:buffer";
import { type DescMessage, toBinary } from "@bufbuild/protobuf";
import { hasOwnJsonForm } from "./field-shape.ts";
import { codeIsAllowed, type Generated } from "./generated-code.ts";
import { binaryPutter, type PutBinary } from "./json-to-binary-code.ts";
import { decodeUtf8, type JsonReader, jsonReader } from "./json-to-message.ts";
import { entryLimit, jsonReadDefaults, type JsonReadOptions } from "./json-trace.ts";
import { asBuffer, irregular, seen, copyBytes, withScratch } from "./scratch.ts";
import { skipSpace } from "./take-json.ts";

/**
 * Converts the UTF-8 bytes of JSON text into the protobuf bytes of one message type, without building messages where the
 * text is as clients write it. The bytes always decode to the message that `jsonReader(schema)` reads, and all errors
 * are those of that reader; fields stand in the order of the text.
 */
export interface JsonToBinary {
  convert(json: Uint8Array): Buffer;
  /** The same where no message is needed in between, else undefined. */
  convertDirectly(json: Uint8Array): Buffer | undefined;
}

/** The converter of a message type. Code is generated once per type; a converter itself is cheap. */
export function jsonToBinary(schema: DescMessage, options?: Partial<JsonReadOptions>): JsonToBinary {
  return new CompiledJsonToBinary(schema, { ...jsonReadDefaults, ...options });
}

class CompiledJsonToBinary implements JsonToBinary {
  readonly #schema: DescMessage;
  readonly #reader: JsonReader;
  readonly #options: JsonReadOptions;
  readonly #put: Generated<PutBinary> | undefined;

  constructor(schema: DescMessage, options: JsonReadOptions) {
    this.#schema = schema;
    this.#reader = jsonReader(schema, options);
    this.#options = options;
    this.#put = codeIsAllowed && !hasOwnJsonForm(schema) ? binaryPutter(schema) : undefined;
  }

  convert(json: Uint8Array): Buffer {
    return (
      this.convertDirectly(json) ?? asBuffer(toBinary(this.#schema, this.#reader.read(decodeUtf8(json))))
    );
  }

  convertDirectly(json: Uint8Array): Buffer | undefined {
    const put = this.#put;
    if (put === undefined || !isUtf8(json)) return undefined;
    const from = asBuffer(json);
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    seen.registry = this.#options.registry;
    const { maxDepth, maxEntries } = this.#options;
    return withScratch(
      (out, outView) => {
        seen.left = entryLimit(maxEntries);
        const end = put.run(from, view, skipSpace(from, 0), out, outView, 0, maxDepth);
        if (skipSpace(from, seen.pos) !== from.length) throw irregular;
        return end;
      },
      copyBytes,
      from.length * 2,
    );
  }
}
