import { Code, ConnectError } from "../core/errors/errors.ts";
import type { OutgoingMessage } from "../messaging/broker.ts";
import { attributesOf, eventFrom } from "../messaging/event-attributes.ts";

/** A message as a row of the outbox. */
export interface NewRow {
  readonly id: string;
  readonly topic: string;
  readonly key: string | null;
  readonly type: string;
  /**
   * A JSON object of texts: the attributes of the CloudEvent with the prefix `ce_`, `content-type`, `content-encoding`,
   * and the message's own headers.
   */
  readonly headers: string;
  readonly body: Uint8Array | null;
}

/** A row that was read. */
export interface OutboxRow extends NewRow {
  /** Grows from row to row; transactions may commit in another order. */
  readonly seq: bigint;
  /** How long ago it was written, in milliseconds, by the clock of the database. */
  readonly ageMs: number;
}

const prefix = "ce_";
/** Says that the message is refused where no queue takes it: the header is no part of the message. */
const mandatoryHeader = "x-ts-ms-mandatory";

/**
 * The row of a message.
 *
 * @throws ConnectError INVALID_ARGUMENT for a message that is no event, or goes to a queue of a group
 */
export function rowOf(message: OutgoingMessage): NewRow {
  const { to, event, key, contentType, contentEncoding, body, mandatory } = message;
  if (to.kind !== "topic" || event === undefined) {
    throw new ConnectError("an outbox takes events and commands only", Code.InvalidArgument);
  }
  const headers: Record<string, string> = Object.fromEntries(message.headers);
  for (const [name, value] of attributesOf(event)) headers[prefix + name] = value;
  if (contentType !== undefined) headers["content-type"] = contentType;
  if (contentEncoding !== undefined) headers["content-encoding"] = contentEncoding;
  if (mandatory) headers[mandatoryHeader] = "true";
  const { id, type } = event;
  return {
    id,
    topic: to.topic,
    key: key ?? null,
    type,
    headers: JSON.stringify(headers),
    body: body ?? null,
  };
}

/**
 * The message of a row. The columns win over the headers `ce_id` and `ce_type`, which a row that other programs have
 * written need not have, as little as `ce_specversion`.
 *
 * @throws ConnectError INVALID_ARGUMENT with what is wrong in the row
 */
export function messageOf({ id, topic, key, type, headers: text, body }: OutboxRow): OutgoingMessage {
  const attributes = new Map([["specversion", "1.0"]]);
  const headers = new Map<string, string>();
  for (const [name, value] of textsOf(text)) {
    if (name.startsWith(prefix)) attributes.set(name.slice(prefix.length), value);
    else headers.set(name, value);
  }
  const event = eventFrom(attributes.set("id", id).set("type", type));
  if (typeof event === "string") throw unreadable(event);
  const take = (name: string): string | undefined => {
    const value = headers.get(name);
    headers.delete(name);
    return value;
  };
  return {
    to: { kind: "topic", topic },
    event,
    key: key ?? undefined,
    contentType: take("content-type"),
    contentEncoding: take("content-encoding"),
    mandatory: take(mandatoryHeader) === "true",
    headers,
    body: body ?? undefined,
  };
}

function textsOf(json: string): [name: string, value: string][] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw unreadable("its headers are no JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw unreadable("its headers are no JSON object");
  }
  return Object.entries(parsed).map(([name, value]: [string, unknown]) => {
    if (typeof value !== "string") throw unreadable(`its header ${name} is no text`);
    return [name.toLowerCase(), value];
  });
}

function unreadable(why: string): ConnectError {
  return new ConnectError(`a row of the outbox is no message: ${why}`, Code.InvalidArgument);
}
