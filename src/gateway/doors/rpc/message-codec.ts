import type { DescMethod, Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../../../core/codec/binary-to-message.ts";
import { madeOnce } from "../../../core/codec/shared-message.ts";
import { writeReply } from "../../../core/call/write-reply.ts";
import { binaryCheck } from "../../../core/codec/binary-check.ts";
import { binaryToJson } from "../../../core/codec/binary-to-json.ts";
import { jsonToBinary } from "../../../core/codec/json-to-binary.ts";
import { jsonReader } from "../../../core/codec/json-to-message.ts";
import { binaryWriter } from "../../../core/codec/message-to-binary.ts";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import { asBuffer } from "../../../core/codec/scratch.ts";
import { type Code, ConnectError } from "../../../core/errors/errors.ts";
import { type JsonBindOptions, jsonReadOptions } from "../../binding/bind-options.ts";

/** Decodes requests and encodes replies of one rpc in one format. */
export interface MessageCodec {
  readonly name: "json" | "proto";
  /** Throws a ConnectError, without contents of a binary message; INVALID_ARGUMENT if required fields are missing. */
  readonly parse: (bytes: Uint8Array) => Message;
  /** Throws INTERNAL for values that the format cannot represent. */
  readonly serialize: (message: Message) => Buffer;
  /** As `parse`, but protobuf bytes where they can be made without a message. */
  readonly toBinary: (bytes: Uint8Array) => Message | Uint8Array;
  /** A reply from its protobuf bytes. Throws for bytes that are no message of the reply's type, and as `serialize`. */
  readonly fromBinary: (reply: Uint8Array) => Buffer;
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
  const printed = { registry, defaults: "omit" } as const;
  const writer = jsonWriter(output, printed);
  const toJson = binaryToJson(output, printed);
  const fromJson = jsonToBinary(input, jsonReadOptions(options));
  const [isRequest, isReply] = [binaryCheck(input), binaryCheck(output)];
  const check = requiredCheck(input);
  const checked = (message: Message): Message => {
    check?.(message);
    return message;
  };
  const write = binaryWriter(output);
  const [decodeInput, decodeOutput] = [messageDecoder(input), messageDecoder(output)];
  const json: FormatCodec = {
    parse: (bytes) => checked(reader.readBytes(bytes)),
    serialize: madeOnce("json", (message) => Buffer.from(writer.write(message))),
  };
  const proto: FormatCodec = {
    parse(bytes) {
      let message: Message;
      try {
        message = decodeInput(bytes);
      } catch (error) {
        const reason = error instanceof Error ? error.message : "malformed bytes";
        throw new ConnectError(`the request is no binary ${input.typeName}: ${reason}`, malformed);
      }
      return checked(message);
    },
    serialize: madeOnce("protobuf", (message) => asBuffer(write(message))),
  };
  const reply = (bytes: Uint8Array, codec: FormatCodec): Buffer =>
    writeReply(method, codec.serialize, decodeOutput(bytes));
  return {
    json: {
      name: "json",
      ...json,
      toBinary: (bytes) =>
        (check === undefined ? fromJson.convertDirectly(bytes) : undefined) ?? json.parse(bytes),
      fromBinary: (bytes) => toJson.convertDirectly(bytes) ?? reply(bytes, json),
    },
    proto: {
      name: "proto",
      ...proto,
      toBinary: (bytes) => (isRequest(bytes) ? bytes : proto.parse(bytes)),
      fromBinary: (bytes) => (isReply(bytes) ? asBuffer(bytes) : reply(bytes, proto)),
    },
  };
}

/** Messages of one format. */
type FormatCodec = Pick<MessageCodec, "parse" | "serialize">;
