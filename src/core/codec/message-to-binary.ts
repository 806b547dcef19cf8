import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { codeIsAllowed } from "./generated-code.ts";
import { messageCheck } from "./message-check.ts";
import { fieldsPutter } from "./message-to-binary-code.ts";
import { copyBytes, keptRoom, withScratch } from "./scratch.ts";

/** Encodes messages of one type as protobuf. The result may be part of a larger buffer, as those of Node mostly are. */
export type BinaryWriter = (message: Message) => Uint8Array<ArrayBuffer>;

const writers = new WeakMap<DescMessage, BinaryWriter>();

/**
 * The encoder of a message type: the same bytes and errors as those of `toBinary`, in less time for small messages. It is
 * made once for each type.
 */
export function binaryWriter(schema: DescMessage): BinaryWriter {
  let writer = writers.get(schema);
  if (writer === undefined) {
    writer = writerWith(schema, (message) => toBinary(schema, message));
    writers.set(schema, writer);
  }
  return writer;
}

/**
 * As {@link binaryWriter}, for messages from where they may be wrong.
 *
 * @throws TypeError for a value that its field cannot hold, which `toBinary` alone might encode as another (`messageCheck`)
 */
export function checkedBinaryWriter(schema: DescMessage): BinaryWriter {
  const check = messageCheck(schema);
  return writerWith(schema, (message) => {
    check(message);
    return toBinary(schema, message);
  });
}

/** `other` writes what is irregular, and what is too large for the room that is kept: generated code would run again and again. */
function writerWith(schema: DescMessage, other: BinaryWriter): BinaryWriter {
  if (!codeIsAllowed) return other;
  const put = fieldsPutter(schema);
  return (message) =>
    withScratch((out, view) => put.run(message, out, view, 0), copyBytes, 0, keptRoom) ?? other(message);
}
