import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import type { PutJson } from "./binary-to-json-code.ts";
import { compiledFormat } from "./compiled-format.ts";
import { hasOwnJsonForm } from "./field-shape.ts";
import { codeIsAllowed, type Generated } from "./generated-code.ts";
import { type JsonWriteOptions, jsonWriteDefaults, jsonWriter } from "./message-to-json.ts";
import { asBuffer, seen, copyBytes, withScratch } from "./scratch.ts";

/**
 * Prints protobuf bytes of one message type as the UTF-8 bytes of JSON text, without building messages where the bytes
 * are as serializers write them. The JSON value is always the one of `jsonWriter(schema).write(fromBinary(schema, bytes))`,
 * and so are the errors; members may come in another order.
 */
export interface BinaryToJson {
  convert(bytes: Uint8Array): Buffer;
  /** The same where no message is needed in between, else undefined. */
  convertDirectly(bytes: Uint8Array): Buffer | undefined;
}

/** The converter of a message type. Code is generated once per type and format; a converter itself is cheap. */
export function binaryToJson(schema: DescMessage, options?: Partial<JsonWriteOptions>): BinaryToJson {
  return new CompiledBinaryToJson(schema, { ...jsonWriteDefaults, ...options });
}

class CompiledBinaryToJson implements BinaryToJson {
  readonly #schema: DescMessage;
  readonly #options: JsonWriteOptions;
  readonly #put: Generated<PutJson> | undefined;

  constructor(schema: DescMessage, options: JsonWriteOptions) {
    this.#schema = schema;
    this.#options = options;
    const isGenerated = codeIsAllowed && !hasOwnJsonForm(schema) && (options.indent ?? 0) === 0;
    this.#put = isGenerated ? compiledFormat(options).binary.of(schema) : undefined;
  }

  convert(bytes: Uint8Array): Buffer {
    return (
      this.convertDirectly(bytes) ??
      Buffer.from(jsonWriter(this.#schema, this.#options).write(fromBinary(this.#schema, bytes)))
    );
  }

  convertDirectly(bytes: Uint8Array): Buffer | undefined {
    const put = this.#put;
    if (put === undefined) return undefined;
    const from = asBuffer(bytes);
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    seen.unknown = false;
    seen.registry = this.#options.registry;
    return withScratch(
      (out, outView) => put.run(from, view, 0, from.length, out, outView, 0, 1),
      // Unknown fields may be extensions that the registry knows.
      (out, end) => (seen.unknown && this.#options.registry !== undefined ? undefined : copyBytes(out, end)),
      from.length * 2,
    );
  }
}
