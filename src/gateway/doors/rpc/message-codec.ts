import { fromBinary, toBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import { jsonReader } from "../../../core/codec/json-to-message.ts";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import { type Code, ConnectError } from "../../../core/errors/errors.ts";
import { type JsonBindOptions, jsonReadOptions } from "../../binding/bind-options.ts";

/** Reads requests and writes replies of one rpc in one format. */
export interface MessageCodec {
  readonly name: "json" | "proto";
  /** Throws a ConnectError that repeats nothing of a binary message; INVALID_ARGUMENT where required fields are missing. */
  parse(bytes: Uint8Array): Message;
  /** Throws INTERNAL for what the format cannot hold. */
  serialize(message: Message): Buffer;
}

/** The two codecs of an rpc. */
export type MessageCodecs = Readonly<Record<"json" | "proto", MessageCodec>>;

/**
 * The codecs of an rpc: JSON by the protobuf mapping, read by the same options and as exactly as on REST, but written
 * without defaults, as all implementations of these protocols have it; and binary protobuf.
 *
 * @param malformed the code of binary requests that cannot be read
 */
export function messageCodecs(method: DescMethod, options: JsonBindOptions, malformed: Code): MessageCodecs {
  const { input, output } = method;
  const { registry } = options;
  const reader = jsonReader(input, jsonReadOptions(options));
  const writer = jsonWriter(output, { registry, defaults: "omit" });
  const check = requiredCheck(input);
  const checked = (message: Message): Message => {
    check?.(message);
    return message;
  };
  return {
    json: {
      name: "json",
      parse: (bytes) => checked(reader.readBytes(bytes)),
      serialize: (message) => Buffer.from(writer.write(message)),
    },
    proto: {
      name: "proto",
      parse({ buffer, byteOffset, byteLength }) {
        let message: Message;
        try {
          // Fields of bytes become what this is, and no Buffer.
          message = fromBinary(input, new Uint8Array(buffer, byteOffset, byteLength));
        } catch (error) {
          const reason = error instanceof Error ? error.message : "malformed bytes";
          throw new ConnectError(`the request is no binary ${input.typeName}: ${reason}`, malformed);
        }
        return checked(message);
      },
      serialize(message) {
        const { buffer, byteOffset, byteLength } = toBinary(output, message);
        return Buffer.from(buffer, byteOffset, byteLength);
      },
    },
  };
}
