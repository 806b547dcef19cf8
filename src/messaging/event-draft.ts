import { type DescMessage, isMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { messageMaker } from "../core/codec/init-to-message.ts";
import { messageCheck } from "../core/codec/message-check.ts";
import { invalidArgument } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { encodeBody } from "./body-codec.ts";
import { type EventContract, eventContract, keyOf } from "./contract.ts";
import type { Draft } from "./new-message.ts";
import type { MessageOptions } from "./publish-options.ts";
import type { SenderOptions } from "./sender-options.ts";
import { checkName } from "./queue-names.ts";

/**
 * The draft of an event.
 *
 * @throws SetupError for a type that is no event, unless a topic is given
 * @throws ConnectError INVALID_ARGUMENT naming the field, for a message that is none of its type or has no key
 */
export function draftOf(
  schema: DescMessage,
  init: object,
  given: Partial<MessageOptions>,
  { encoding, registry }: Pick<SenderOptions, "encoding" | "registry">,
): Draft {
  const contract = eventContract(schema) ?? unmarked(schema, given.topic);
  if (given.topic !== undefined) checkName("publish", "topic", given.topic);
  const message = checkedMessage(schema, init);
  const { contentType, body } = encodeBody(schema, message, encoding, registry);
  return {
    topic: given.topic ?? contract.topic,
    type: contract.type,
    key: given.key === undefined ? keyOf(contract, message) : givenKey(given.key),
    subject: given.subject === undefined ? contract.subject?.textOf(message) : undefined,
    expiresAfterMs: contract.expiresAfterMs,
    contentType,
    body,
    mandatory: false,
    given,
    callHeaders: undefined,
  };
}

/** A message of a type that its fields can have. @throws ConnectError INVALID_ARGUMENT naming the field */
export function checkedMessage(schema: DescMessage, init: object): Message {
  const message = isMessage(init) ? init : messageMaker(schema)(init as MessageInitShape<DescMessage>); // Checked below.
  try {
    messageCheck(schema)(message);
  } catch (reason) {
    throw invalidArgument(reason instanceof Error ? reason.message : String(reason));
  }
  return message;
}

function givenKey(key: string): string {
  if (key !== "") return key;
  const description = "must not be empty: leave it out for none";
  throw invalidArgument(`key ${description}`, [{ field: "key", description }]);
}

function unmarked(schema: DescMessage, topic: string | undefined): EventContract {
  if (topic === undefined) {
    throw new SetupError(
      `${schema.typeName} (${schema.file.name}.proto) is no event: give it (ts_ms.v1.event), or give publish a topic`,
    );
  }
  const { typeName: type } = schema;
  return { topic, type, schema, key: undefined, subject: undefined, expiresAfterMs: undefined };
}
