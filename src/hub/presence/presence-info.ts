import {
  createRegistry,
  type DescMessage,
  isMessage,
  type Message,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { messageType } from "../../core/codec/standard-types.ts";
import { Code, ConnectError, invalidArgument } from "../../core/errors/errors.ts";

/** The largest info of a member, in bytes: a list has it of every member. */
const maxBytes = 4_096;

/**
 * Packs what others see of a member. Its type is one of the files that the contract of the topic imports, so that all doors
 * can write it, or a standard type; a `google.protobuf.Any` is taken as it is.
 */
export class InfoPacker {
  readonly #schema: DescMessage;
  #registry: Registry | undefined;

  /** @param schema of the messages of the topic */
  constructor(schema: DescMessage) {
    this.#schema = schema;
  }

  /** @throws ConnectError INVALID_ARGUMENT for a type that is not known, RESOURCE_EXHAUSTED for more than 4 KiB */
  pack(info: Message): Any {
    const packed = isMessage(info, AnySchema)
      ? { ...info, value: info.value.slice() } // What is done with it later changes nothing.
      : this.#packed(info);
    const { byteLength } = packed.value;
    if (byteLength <= maxBytes) return packed;
    throw new ConnectError(
      `info: ${byteLength} bytes; at most ${maxBytes} are told of a member`,
      Code.ResourceExhausted,
    );
  }

  #packed(info: Message): Any {
    const name = String((info as Partial<Message> | undefined)?.$typeName); // Programs without types give anything.
    const schema = this.#typeOf(name);
    if (schema === undefined) {
      const { name: file } = this.#schema.file;
      throw invalidArgument(
        `info: ${name} is no type that ${file}.proto imports: import its file there, or give a google.protobuf.Any`,
      );
    }
    try {
      toBinary(schema, info);
      return anyPack(schema, info);
    } catch (reason) {
      throw invalidArgument(`info: ${reason instanceof Error ? reason.message : String(reason)}`);
    }
  }

  #typeOf(name: string): DescMessage | undefined {
    if (this.#registry === undefined) {
      const files = new Set([this.#schema.file]);
      for (const file of files) for (const imported of file.dependencies) files.add(imported);
      this.#registry = createRegistry(...files);
    }
    return messageType(name, this.#registry);
  }
}
