import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { type Any, hasCustomJsonRepresentation } from "@bufbuild/protobuf/wkt";
import { formatBase64 } from "./base64-text.ts";
import type { MessageWriter, WriteContext } from "./message-writer.ts";
import { messageType } from "./standard-types.ts";
import { quoteText, unwritable, type ValueWriter } from "./write-scalars.ts";

/** Messages inside of messages that `Any` may hold; more would only serve to exhaust the stack. */
const maxAnyDepth = 100;

/** The writer of `Any`s; `writerOf` gives the writers of the messages that they hold. */
export function anyWriter(writerOf: (desc: DescMessage) => MessageWriter): ValueWriter<WriteContext> {
  return { open: "{", append: (out, value, context) => appendAny(out, value as Any, writerOf, context) };
}

function appendAny(
  out: string,
  any: Any,
  writerOf: (desc: DescMessage) => MessageWriter,
  context: WriteContext,
): string {
  const { typeUrl } = any;
  if (typeUrl === "") return `${out}}`;
  const typeName = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const desc = messageType(typeName, context.registry);
  // A reply that came is never lost for what it carries along.
  if (desc === undefined) {
    return `${out}"@type":${quoteText(typeUrl)},"value":"${formatBase64(any.value)}"}`;
  }
  if (context.anyDepth >= maxAnyDepth) throw unwritable("google.protobuf.Any", "it is nested too deeply");
  context.anyDepth++;
  const writer = writerOf(desc);
  const message = unpack(desc, any);
  const typed = `${out}"@type":${quoteText(typeUrl)}`;
  const text = hasCustomJsonRepresentation(desc)
    ? writer.append(`${typed},"value":${writer.open}`, message, context)
    : writer.members(typed, message, context, -1);
  context.anyDepth--;
  return `${text}}`;
}

function unpack(desc: DescMessage, any: Any): Message {
  try {
    return fromBinary(desc, any.value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unwritable("google.protobuf.Any", `its bytes are no ${desc.typeName}: ${reason}`);
  }
}
