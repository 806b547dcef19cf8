import { fromBinary, toBinary, type DescMethod, type Message } from "@bufbuild/protobuf";
import { jsonReader } from "../../../core/codec/json-to-message.ts";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import { type Code, ConnectError } from "../../../core/errors/errors.ts";
import { type JsonBindOptions, jsonReadOptions } from "../../binding/bind-options.ts";

/** Decodes requests and encodes replies of one rpc in one format. */
export interface MessageCodec {
  readonly name: "json" | "proto";
  /** Throws a ConnectError, without contents of a binary message; INVALID_ARGUMENT if required fields are missing. */
  parse(bytes: Uint8Array): Message;
  /** Throws INTERNAL for values that the format cannot represent. */
  serialize(message: Message): Buffer;
}

/** The two codecs of an rpc. */
export type MessageCodecs = Readonly<Record<"json" | "proto", MessageCodec>>;

/**
 * The codecs of an rpc: binary protobuf, and JSON by the protobuf mapping, decoded with the same options and the same
 * exactness as on REST, but encoded without defaults, as in all implementations of these protocols.
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
          // Fields of type bytes are views of the input's class: Uint8Array, not Buffer.
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
