import type { GroupQueue, IncomingMessage, OutgoingMessage } from "../broker.ts";
import { attributesOf } from "../cloud-event.ts";
import { queueName } from "../queue-names.ts";
import type { Message, Options } from "./peer.ts";
import { routingKey, slotOf } from "./topology.ts";

/** A message as AMQP publishes it. */
export interface AmqpMessage {
  /** Empty for the exchange that knows every queue by its name. */
  readonly exchange: string;
  /** The name of the queue, where the exchange is empty. */
  readonly routingKey: string;
  readonly body: Buffer;
  readonly options: Options.Publish;
}

/** Begins the names of the headers that are attributes of CloudEvents. */
const attributePrefix = "cloudEvents_";
/** Headers that RabbitMQ writes itself, and reads where a message has them. */
const brokersOwn = /^(?:x-delivery-count|x-death|x-(?:first|last)-death-.*|cc|bcc)$/i;
/** The header that has the key of a message, by this room and by other senders. */
const keyName = /^(?:cloudevents[_:]|ce[_-])partitionkey$/i;
const longestKeyName = `${attributePrefix}partitionkey`.length;
const empty = Buffer.alloc(0);

/**
 * A message in the form of AMQP: attributes in headers, and in the properties that mean the same.
 *
 * @param turn the slot of a message without a key
 */
export function toAmqp(
  message: OutgoingMessage,
  { prefix, name }: { readonly prefix: string; readonly name: string | undefined },
  turn: number,
): AmqpMessage {
  const { to, event, body } = message;
  const headers: Record<string, string> = {};
  for (const [header, value] of message.headers) if (!brokersOwn.test(header)) headers[header] = value;
  if (event !== undefined) {
    for (const [attribute, value] of attributesOf(event)) headers[attributePrefix + attribute] = value;
    if (message.key !== undefined) headers[`${attributePrefix}partitionkey`] ??= message.key;
  }
  const slot = message.key === undefined ? turn : slotOf(message.key);
  return {
    exchange: to.kind === "topic" ? prefix + to.topic : "",
    routingKey:
      to.kind === "topic"
        ? routingKey(slot, event?.type ?? "")
        : prefix + queueName(to.topic, to.group, to.queue),
    body: body === undefined ? empty : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    options: {
      headers,
      deliveryMode: 2,
      // A queue of a group that is gone must not swallow what is moved there.
      mandatory: message.mandatory || to.kind === "queue",
      ...(name !== undefined && { appId: name }),
      ...(message.contentType !== undefined && { contentType: message.contentType }),
      ...(message.contentEncoding !== undefined && { contentEncoding: message.contentEncoding }),
      ...(event !== undefined && { messageId: event.id, type: event.type }),
      ...(event?.timeMs !== undefined && { timestamp: Math.floor(event.timeMs / 1_000) }),
    },
  };
}

/** A message of AMQP as RabbitMQ has delivered it. */
export function fromAmqp({ content, properties }: Message): IncomingMessage {
  const given: [string, unknown][] = Object.entries(properties.headers ?? {});
  const headers: [string, unknown][] = [];
  for (const [name, value] of given) {
    if (!brokersOwn.test(name) || name.startsWith("x-first-death")) headers.push([name, timeOr(value)]);
  }
  return {
    headers,
    contentType: textOrNone(properties.contentType),
    contentEncoding: textOrNone(properties.contentEncoding),
    key: keyOf(headers),
    body: content,
    expiresAtMs: expiryOf(properties),
  };
}

/** The client's form of a time of AMQP, in seconds, as a Date; other values as they are. */
function timeOr(value: unknown): unknown {
  const isTime = typeof value === "object" && value !== null && "!" in value && value["!"] === "timestamp";
  return isTime && "value" in value && typeof value.value === "number"
    ? new Date(value.value * 1_000)
    : value;
}

/** How often a message has been delivered, this time too. Undefined where the queue does not count. */
export function deliveriesOf({ properties }: Message, isCounted: boolean): number | undefined {
  if (!isCounted) return undefined;
  const before: unknown = properties.headers?.["x-delivery-count"];
  return typeof before === "number" ? before + 1 : 1;
}

/** Where a message of the queue that a group reads comes from: one that has expired in a retry queue last is a retry. */
export function originOf({ properties }: Message, queue: "topic" | "again"): "topic" | GroupQueue["kind"] {
  const deaths: unknown = properties.headers?.["x-death"];
  const last: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  if (typeof last !== "object" || last === null || !("queue" in last) || !("reason" in last)) return queue;
  const isRetry = last.reason === "expired" && /\.retry-\d+$/.test(String(last.queue));
  return isRetry ? "retry" : queue;
}

function keyOf(headers: readonly (readonly [string, unknown])[]): string | undefined {
  for (const [name, value] of headers) {
    const isKey = name.length <= longestKeyName && keyName.test(name);
    if (isKey && typeof value === "string") return value;
  }
  return undefined;
}

/** AMQP says how long a message lives, and by some senders when it was made. */
function expiryOf({ expiration, timestamp }: Message["properties"]): number | undefined {
  const lifeMs = Number(expiration ?? Number.NaN);
  return typeof timestamp === "number" && Number.isFinite(lifeMs) ? timestamp * 1_000 + lifeMs : undefined;
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
