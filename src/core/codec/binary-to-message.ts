import { type DescMessage, fromBinary, type Message, type MessageShape } from "@bufbuild/protobuf";
import { fieldsTaker, needsView } from "./binary-to-message-code.ts";
import { codeIsAllowed } from "./generated-code.ts";
import { asBuffer } from "./scratch.ts";

/** Decodes protobuf bytes as a message of one type. */
export type MessageDecoder<M = Message> = (bytes: Uint8Array) => M;

const decoders = new WeakMap<DescMessage, MessageDecoder>();

/**
 * The decoder of a message type: the same messages and errors as those of `fromBinary`, in less time. Fields of type bytes
 * are views of the input's memory, never Buffers. It is made once for each type.
 */
export function messageDecoder<D extends DescMessage>(schema: D): MessageDecoder<MessageShape<D>> {
  let decoder = decoders.get(schema);
  if (decoder === undefined) {
    decoder = decoderOf(schema);
    decoders.set(schema, decoder);
  }
  return decoder as MessageDecoder<MessageShape<D>>; // It is that of the type.
}

function decoderOf(schema: DescMessage): MessageDecoder {
  const other: MessageDecoder = ({ buffer, byteOffset, byteLength }) =>
    fromBinary(schema, new Uint8Array(buffer, byteOffset, byteLength));
  if (!codeIsAllowed) return other;
  const taker = fieldsTaker(schema);
  let isViewed: boolean | undefined; // It takes a look at all types inside.
  return (bytes) => {
    const from = asBuffer(bytes);
    isViewed ??= needsView(schema);
    const view = isViewed ? new DataView(from.buffer, from.byteOffset, from.byteLength) : undefined;
    try {
      return taker.run(from, view, 0, from.length, 1);
    } catch {
      return other(bytes); // What is irregular, good or bad.
    }
  };
}
