import type { GroupQueue, IncomingMessage, OutgoingMessage } from "../broker.ts";
import { type CloudEvent, specVersion, timeText } from "../event-attributes.ts";
import { queueName } from "../queue-names.ts";
import type { Message } from "./peer.ts";
import { routingKey, slotOf } from "./topology.ts";

/** A message as AMQP publishes it. */
export interface AmqpMessage {
  /** Empty for the exchange that knows every queue by its name. */
  readonly exchange: string;
  /** The name of the queue, where the exchange is empty. */
  readonly routingKey: string;
  readonly body: Uint8Array;
  readonly options: AmqpOptions;
}

/** What is said of a message besides. Nothing else of AMQP is written. */
export interface AmqpOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** 2: kept on a disk. */
  readonly deliveryMode: number;
  /** Whether it comes back where no queue takes it. */
  readonly mandatory: boolean;
  readonly appId: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly messageId: string | undefined;
  readonly type: string | undefined;
  /** In seconds since 1970. */
  readonly timestamp: number | undefined;
  /** The queue of replies; undefined for what needs none. */
  readonly replyTo?: string;
  readonly correlationId?: string;
}

/** Begins the names of the headers that are attributes of CloudEvents. */
const attributePrefix = "cloudEvents_";
/** Headers that RabbitMQ writes itself, and reads where a message has them. */
const brokersOwn = /^(?:x-delivery-count|x-death|x-(?:first|last)-death-.*|cc|bcc)$/i;
/** The header that has the key of a message, by this room and by other senders. */
const keyName = /^(?:cloudevents[_:]|ce[_-])partitionkey$/i;
const keyHeader = `${attributePrefix}partitionkey`;
/** Headers of attributes, so that their names are made once. */
const attributeHeaders = new Map<string, string>();
/** Senders choose the names of extensions: so many are kept. */
const mostAttributeHeaders = 1_000;
const empty = new Uint8Array(0);

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
  const { to, event, body, key, contentType, contentEncoding } = message;
  const headers = event === undefined ? {} : attributeHeadersOf(event, key);
  for (const [header, value] of message.headers) if (!brokersOwn.test(header)) headers[header] = value;
  const isQueue = to.kind === "queue";
  return {
    exchange: isQueue ? "" : prefix + to.topic,
    routingKey: isQueue
      ? prefix + queueName(to.topic, to.group, to.queue)
      : routingKey(key === undefined ? turn : slotOf(key), event?.type ?? ""),
    body: body ?? empty,
    options: {
      headers,
      deliveryMode: 2,
      // A queue of a group that is gone must not swallow what is moved there.
      mandatory: message.mandatory || isQueue,
      appId: name,
      contentType,
      contentEncoding,
      messageId: event?.id,
      type: event?.type,
      timestamp: event?.timeMs === undefined ? undefined : Math.floor(event.timeMs / 1_000),
    },
  };
}

/** The attributes of an event as headers. Other headers have names in lower case, which none of these is. */
function attributeHeadersOf(event: CloudEvent, key: string | undefined): Record<string, string> {
  const { id, source, type, subject, timeMs, extensions } = event;
  const headers: Record<string, string> = {
    cloudEvents_specversion: specVersion,
    cloudEvents_id: id,
    cloudEvents_source: source,
    cloudEvents_type: type,
  };
  if (subject !== undefined) headers["cloudEvents_subject"] = subject;
  if (timeMs !== undefined) headers["cloudEvents_time"] = timeText(timeMs);
  for (const [attribute, value] of extensions) headers[headerOf(attribute)] = value;
  if (key !== undefined) headers[keyHeader] ??= key;
  return headers;
}

function headerOf(attribute: string): string {
  let header = attributeHeaders.get(attribute);
  if (header === undefined) {
    header = attributePrefix + attribute;
    if (attributeHeaders.size < mostAttributeHeaders) attributeHeaders.set(attribute, header);
  }
  return header;
}

/** What the name of a header says of it. */
interface NamedHeader {
  /** Whether it is handed over. */
  readonly isKept: boolean;
  readonly isKey: boolean;
}

/** By their names, so that each is looked at once. */
const namedHeaders = new Map<string, NamedHeader>();
/** Senders choose the names of headers: so many are kept. */
const mostNamedHeaders = 1_000;

function namedHeader(name: string): NamedHeader {
  const known = namedHeaders.get(name);
  if (known !== undefined) return known;
  const made = {
    isKept: !brokersOwn.test(name) || name.startsWith("x-first-death"),
    isKey: keyName.test(name),
  };
  if (namedHeaders.size < mostNamedHeaders) namedHeaders.set(name, made);
  return made;
}

/** A message of AMQP as RabbitMQ has delivered it. */
export function fromAmqp({ content, properties }: Message): IncomingMessage {
  const given: Readonly<Record<string, unknown>> = properties.headers ?? {};
  const headers: [string, unknown][] = [];
  let key: string | undefined;
  for (const name of Object.keys(given)) {
    const { isKept, isKey } = namedHeader(name);
    if (!isKept) continue;
    const value = given[name];
    headers.push([name, typeof value === "string" ? value : timeOr(value)]);
    if (isKey && typeof value === "string") key ??= value;
  }
  return {
    headers,
    contentType: textOrNone(properties.contentType),
    contentEncoding: textOrNone(properties.contentEncoding),
    key,
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

/** AMQP says how long a message lives, and by some senders when it was made. */
function expiryOf({ expiration, timestamp }: Message["properties"]): number | undefined {
  const lifeMs = Number(expiration ?? Number.NaN);
  return typeof timestamp === "number" && Number.isFinite(lifeMs) ? timestamp * 1_000 + lifeMs : undefined;
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
