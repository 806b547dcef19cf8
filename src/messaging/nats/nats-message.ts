import type { NatsMessage } from "../../core/nats/nats-line.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import { attributesOf } from "../cloud-event.ts";

/** A message as NATS stores it. */
export interface StoredForm {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
  /** What NATS counts of it against the size that it takes. */
  readonly bytes: number;
}

/** Says where the reply of a call goes: a stream stores no subject for answers, and gives its own answer there. */
export const replyHeader = "x-ts-ms-reply-to";
/** Where replies may go: a message must not make its reader publish anywhere else. */
export const replyForm = /^_INBOX\.[\w.-]+$/;

/** Begins the names of the headers that are attributes of CloudEvents. */
const attributePrefix = "ce-";
const keyHeader = `${attributePrefix}partitionkey`;
const empty = new Uint8Array();
const headOverhead = 12;
const headerOverhead = 4;

/**
 * A message in the form of NATS' binding of CloudEvents: attributes in headers, percent-encoded.
 *
 * @param own headers for NATS itself
 */
export function toNats(
  {
    event,
    key,
    headers,
    contentType,
    contentEncoding,
    body = empty,
  }: Omit<OutgoingMessage, "to" | "mandatory">,
  own: Readonly<Record<string, string>> = {},
): StoredForm {
  const all: Record<string, string> = {};
  for (const [name, value] of headers) {
    // NATS has a use of its own for some names, and lines for the others.
    if (isOthers(name)) all[name] = value.replace(/[\r\n]+/g, " ");
  }
  if (event !== undefined) {
    for (const [name, value] of attributesOf(event)) all[attributePrefix + name] = encoded(value);
    if (key !== undefined) all[keyHeader] ??= encoded(key);
  }
  if (contentType !== undefined) all["content-type"] = contentType;
  if (contentEncoding !== undefined) all["content-encoding"] = contentEncoding;
  Object.assign(all, own);
  let bytes = headOverhead + body.byteLength;
  for (const name of Object.keys(all))
    bytes += name.length + Buffer.byteLength(all[name] ?? "") + headerOverhead;
  return { headers: all, body, bytes };
}

/** A message of NATS as it was read: attributes decoded, in the form that has no encoding. */
export function fromNats({ headers, data }: Pick<NatsMessage, "headers" | "data">): IncomingMessage {
  const found: [string, string][] = [];
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  let key: string | undefined;
  for (const [name, values] of headers ?? []) {
    const lower = name.toLowerCase();
    for (const value of values) {
      if (lower === "content-type") contentType ??= value;
      else if (lower === "content-encoding") contentEncoding ??= value;
      else if (lower.startsWith(attributePrefix)) {
        const text = decoded(value);
        if (lower === keyHeader) key ??= text;
        found.push([`ce_${name.slice(attributePrefix.length)}`, text]);
      } else if (isOthers(lower)) found.push([name, value]);
    }
  }
  return { headers: found, contentType, contentEncoding, key, body: data, expiresAtMs: undefined };
}

function isOthers(name: string): boolean {
  return name !== replyHeader && !name.startsWith("nats-");
}

/** HTTP binding of CloudEvents, 3.1.3.2. */
function encoded(text: string): string {
  if (/^[\x21\x23\x24\x26-\x7e]*$/.test(text)) return text;
  return text.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part));
}

/** A broken escape stays as it is. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
