import { attributesOf } from "../cloud-event.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";

/** The name of an attribute among the headers of a message, as on Kafka. */
const prefix = "ce_";

/** A message as its readers get it. It never expires by itself: its attributes say when it does. */
export function incomingOf(message: Omit<OutgoingMessage, "to" | "mandatory">): IncomingMessage {
  const { event, key, headers, contentType, contentEncoding, body } = message;
  const attributes = event === undefined ? [] : attributesOf(event);
  return {
    headers: [...attributes.map(([name, value]) => [prefix + name, value] as const), ...headers],
    contentType,
    contentEncoding,
    key,
    body,
    expiresAtMs: undefined,
  };
}

/** What a message takes, in bytes: body and headers. */
export function bytesOf({ headers, body }: IncomingMessage): number {
  let bytes = body?.byteLength ?? 0;
  for (const [name, value] of headers) bytes += name.length + (typeof value === "string" ? value.length : 8);
  return bytes;
}
