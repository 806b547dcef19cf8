import { attributesOf } from "../cloud-event.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";

/** Begins the name of an attribute among the headers of a message, as on Kafka. */
const prefix = "ce_";
/** Names with the prefix, so that each is made once. */
const names = new Map<string, string>();
/** Senders choose the names of extensions: so many are kept. */
const mostNames = 1_000;

/** A message as its readers get it. It never expires by itself: its attributes say when it does. */
export function incomingOf(message: Omit<OutgoingMessage, "to" | "mandatory">): IncomingMessage {
  const { event, key, headers, contentType, contentEncoding, body } = message;
  const all = event === undefined ? [] : attributesOf(event);
  for (const attribute of all) attribute[0] = headerOf(attribute[0]);
  for (const header of headers) all.push(header);
  return {
    headers: all,
    contentType,
    contentEncoding,
    key,
    body,
    expiresAtMs: undefined,
  };
}

function headerOf(attribute: string): string {
  let name = names.get(attribute);
  if (name === undefined) {
    name = prefix + attribute;
    if (names.size < mostNames) names.set(attribute, name);
  }
  return name;
}

/** What a message takes, in bytes: body and headers. */
export function bytesOf({ headers, body }: IncomingMessage): number {
  let bytes = body?.byteLength ?? 0;
  for (const [name, value] of headers) bytes += name.length + (typeof value === "string" ? value.length : 8);
  return bytes;
}
