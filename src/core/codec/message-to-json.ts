import type { DescField, DescMessage, Message, Registry } from "@bufbuild/protobuf";
import { compiledFormat } from "./compiled-format.ts";
import { hasOwnJsonForm } from "./field-shape.ts";
import { codeIsAllowed, type Generated } from "./generated-code.ts";
import { indentJson } from "./indent-json.ts";
import type { PutMessage } from "./message-to-json-code.ts";
import type { MessageWriter, WriteFormat } from "./message-writer.ts";
import { seen, copyBytes, withScratch } from "./scratch.ts";
import type { WriterCompiler } from "./write-message.ts";

/** How messages look in JSON where the mapping leaves a choice. */
export interface JsonWriteOptions extends WriteFormat {
  /** Names of members: `json` for lowerCamelCase (or `json_name`), `proto` as in the contract. Default `json`. */
  readonly fieldNames: "json" | "proto";
  /** Enum values by name or by number. Default `name`. */
  readonly enums: "name" | "number";
  /** Whether fields without presence, lists and maps are printed at their defaults. Default `emit`. */
  readonly defaults: "emit" | "omit";
  /**
   * 64-bit integers as strings, as bare numbers, or bare up to 2^53 and as strings above. Default `string`, as
   * most readers of JSON round larger numbers.
   */
  readonly int64: "string" | "number" | "safe-number";
  /** Types that `google.protobuf.Any` may hold beside the standard ones, and extensions. Default: none. */
  readonly registry?: Registry | undefined;
  /** Spaces of one level of indentation; 0 for one compact line. Default 0. */
  readonly indent?: number | undefined;
}

/** The defaults of {@link JsonWriteOptions}. */
export const jsonWriteDefaults: JsonWriteOptions = Object.freeze({
  fieldNames: "json",
  enums: "name",
  defaults: "emit",
  int64: "string",
  indent: 0,
});

/**
 * Prints messages of one type as JSON text by the proto3 JSON mapping.
 *
 * 32-bit floats come as the shortest decimal that reads back as the same float, minus zero keeps its sign. What has
 * no JSON (a Timestamp of the year 10,000, a value of the wrong type, broken bytes in an `Any`) throws INTERNAL with
 * the name of the field or type. An `Any` of an unknown type is `{"@type": …, "value": base64}`.
 *
 * @see https://protobuf.dev/programming-guides/json/
 */
export interface JsonWriter {
  /** The JSON object (or the form of the well-known type) of a message. */
  write(message: Message): string;
  /** The same as UTF-8 bytes, several times faster for large messages. Members may stand in another order. */
  writeBytes(message: Message): Buffer;
  /**
   * The JSON of the value of one field: `null` where a field with presence (all messages and members of oneofs) is
   * unset, `[]` and `{}` for empty lists and maps, the default for other fields that are unset.
   */
  writeField(field: DescField, message: Message): string;
}

/** The writer of a message type. Compiling happens once per type and format; a writer itself is cheap. */
export function jsonWriter(schema: DescMessage, options?: Partial<JsonWriteOptions>): JsonWriter {
  return new CompiledJsonWriter(schema, { ...jsonWriteDefaults, ...options });
}

class CompiledJsonWriter implements JsonWriter {
  readonly #writer: MessageWriter;
  readonly #compiler: WriterCompiler;
  readonly #put: Generated<PutMessage> | undefined;
  readonly #registry: Registry | undefined;
  readonly #indent: number;

  constructor(schema: DescMessage, options: JsonWriteOptions) {
    const { text, messages } = compiledFormat(options);
    this.#compiler = text;
    this.#writer = text.message(schema);
    this.#registry = options.registry;
    this.#indent = options.indent ?? 0;
    const plain = codeIsAllowed && this.#indent === 0 && !hasOwnJsonForm(schema);
    this.#put = plain ? messages.of(schema) : undefined;
  }

  write(message: Message): string {
    const context = { registry: this.#registry, anyDepth: 0 };
    return this.#finish(this.#writer.append(this.#writer.open, message, context));
  }

  writeBytes(message: Message): Buffer {
    return this.#putBytes(message) ?? Buffer.from(this.write(message));
  }

  #putBytes(message: Message): Buffer | undefined {
    const put = this.#put;
    if (put === undefined) return undefined;
    seen.unknown = false;
    seen.registry = this.#registry;
    return withScratch(
      (out, view) => put.run(message, out, view, 0),
      // Unknown fields may be extensions that the registry knows.
      (out, end) => (seen.unknown && this.#registry !== undefined ? undefined : copyBytes(out, end)),
    );
  }

  writeField(field: DescField, message: Message): string {
    const context = { registry: this.#registry, anyDepth: 0 };
    return this.#finish(this.#compiler.message(field.parent).writeField(field, message, context));
  }

  #finish(text: string): string {
    return this.#indent > 0 ? indentJson(text, this.#indent) : text;
  }
}
