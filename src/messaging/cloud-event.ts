import { isUtf8 } from "node:buffer";
import { type RawMessage, ReadAttributes, type ReadEvent } from "./event-attributes.ts";
import { readStructured, structuredKind } from "./structured-event.ts";

export {
  attributesOf,
  eachAttribute,
  type CloudEvent,
  type EventData,
  type RawMessage,
  type ReadEvent,
} from "./event-attributes.ts";

/** How brokers mark headers that are attributes: Kafka, NATS and HTTP, AMQP with either of its separators. */
const attributePrefix = /^(ce_|ce-|cloudevents_|cloudevents:)/i;
/** CloudEvents 1.0.2, 3.1: lower-case letters and digits. */
const attributeName = /^[a-z0-9]+$/;

/** What the name of a header says of it. */
interface HeaderName {
  /** Of the attribute that it is; undefined for others. */
  readonly attribute: string | undefined;
  readonly isPercentEncoded: boolean;
  readonly lowerCase: string;
}

/** By the names as they come, so that each is read once. */
const headerNames = new Map<string, HeaderName>();
/** Senders choose the names of headers: so many are kept. */
const mostHeaderNames = 1_000;

function headerNameOf(name: string): HeaderName {
  const known = headerNames.get(name);
  if (known !== undefined) return known;
  const lowerCase = name.toLowerCase();
  const prefix = attributePrefix.exec(lowerCase)?.[0];
  const rest = prefix === undefined ? "" : lowerCase.slice(prefix.length);
  const attribute = attributeName.test(rest) ? rest : undefined;
  const made = { attribute, isPercentEncoded: prefix === "ce-", lowerCase };
  if (headerNames.size < mostHeaderNames) headerNames.set(name, made);
  return made;
}

/**
 * Reads what a message is: in binary mode by its headers, in structured mode by its body. Nothing of it is trusted, and
 * nothing throws. Names are read in any case, values as texts, numbers, booleans, bytes and dates.
 */
export function eventOf(message: RawMessage): ReadEvent {
  const headers = new Map<string, string>();
  const attributes = new ReadAttributes();
  let twice: string | undefined;
  for (const [name, value] of message.headers) {
    const text = textOf(value);
    if (text === undefined) continue;
    const { attribute, isPercentEncoded, lowerCase } = headerNameOf(name);
    if (attribute === undefined) {
      headers.set(lowerCase, text);
      continue;
    }
    if (!attributes.add(attribute, isPercentEncoded ? percentDecoded(text) : text)) twice ??= attribute;
  }
  if (twice !== undefined) {
    return { kind: "undecodable", why: `the attribute ${twice} is there twice`, headers };
  }
  const structured = structuredKind(message.contentType);
  if (structured !== undefined) return readStructured(structured, message, headers);
  const { contentEncoding, body } = message;
  const contentType = message.contentType ?? attributes.datacontenttype;
  const data = { contentType, contentEncoding, body };
  if (attributes.isEmpty) return { kind: "untyped", data, headers };
  const event = attributes.toEvent();
  if (typeof event === "string") return { kind: "undecodable", why: event, headers };
  return { kind: "event", event, data, headers };
}

/** The text of a value of a header; undefined for what has none: tables, lists, null. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? value : undefined;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint")
    return String(value);
  if (value instanceof Uint8Array) return isUtf8(value) ? Buffer.from(value).toString() : undefined;
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  return undefined;
}

/** HTTP binding of CloudEvents, 3.1.3.2. A broken escape stays as it is. */
function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
