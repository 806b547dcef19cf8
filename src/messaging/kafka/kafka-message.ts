import { createHash } from "node:crypto";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import { attributesOf } from "../cloud-event.ts";
import type { KafkaRecord } from "./peer.ts";

/** A message as Kafka stores it. */
export interface RecordParts {
  readonly key: Buffer | undefined;
  /** Undefined for a tombstone. */
  readonly value: Buffer | undefined;
  readonly headers: Map<Buffer, Buffer>;
  /** About how large it is, in bytes. */
  readonly bytes: number;
}

/** Begins the names of the headers that are attributes of CloudEvents. */
const attributePrefix = "ce_";
/** The key of a dead letter, whose record has another one: of source and id. */
const keyHeader = "x-ts-ms-key";
/** Says of a dead letter that its message is a tombstone: one in a compacted topic would take it out. */
const tombstoneHeader = "x-ts-ms-tombstone";
/** Names of headers, so that their bytes are made once. */
const nameBytes = new Map<string, Buffer>();
/** Senders choose the names of extensions and headers: so many are kept. */
const mostNames = 1_000;
const empty = new Uint8Array();
const recordOverhead = 32;
const headerOverhead = 4;

/** A message in the form of Kafka's binding of CloudEvents: attributes in headers, the content type in one too. */
export function toRecord(message: OutgoingMessage): RecordParts {
  const { to, event, body } = message;
  const isDead = to.kind === "queue" && to.queue.kind === "dead";
  const headers = new Map<Buffer, Buffer>();
  let bytes = recordOverhead;
  const add = (name: string, value: string): void => {
    const text = Buffer.from(value);
    headers.set(bytesOf(name), text);
    bytes += name.length + text.length + headerOverhead;
  };
  for (const [name, value] of message.headers)
    if (name !== keyHeader && name !== tombstoneHeader) add(name, value);
  if (event !== undefined) {
    for (const [attribute, value] of attributesOf(event)) add(attributePrefix + attribute, value);
  }
  if (message.contentType !== undefined) add("content-type", message.contentType);
  if (message.contentEncoding !== undefined) add("content-encoding", message.contentEncoding);
  if (isDead && message.key !== undefined) add(keyHeader, message.key);
  if (isDead && body === undefined) add(tombstoneHeader, "true");
  const keyText = isDead ? letterKey(message) : message.key;
  const key = keyText === undefined ? undefined : Buffer.from(keyText);
  const stored = body ?? (isDead ? empty : undefined);
  const value = stored && Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  return { key, value, headers, bytes: bytes + (key?.length ?? 0) + (value?.length ?? 0) };
}

/** What a dead letter is known by: source and id, so that a message has one; without them everything that it has. */
function letterKey({ event, headers, body }: OutgoingMessage): string {
  if (event !== undefined) return `${event.source}\n${event.id}`;
  const digest = createHash("sha256").update(JSON.stringify([...headers]));
  return digest.update(body ?? new Uint8Array()).digest("base64url");
}

/**
 * A message of Kafka as it was read.
 *
 * @param isLetter whether it lies in a dead-letter topic, where its record has a key of its own
 */
export function fromRecord({ key, value, headers: given }: KafkaRecord, isLetter = false): IncomingMessage {
  const headers: [string, string][] = [];
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  let keyText = key === null || isLetter ? undefined : key.toString();
  let isTombstone = value === null;
  for (const [nameOf, bytes] of given) {
    if (nameOf === null) continue;
    const name = nameOf.toString();
    const text = bytes === null ? "" : bytes.toString();
    const lower = name.toLowerCase();
    if (lower === "content-type") contentType ??= text;
    else if (lower === "content-encoding") contentEncoding ??= text;
    else if (isLetter && lower === keyHeader) keyText = text;
    else if (isLetter && lower === tombstoneHeader) isTombstone = true;
    else headers.push([name, text]);
  }
  return {
    headers,
    contentType,
    contentEncoding,
    key: keyText,
    body: isTombstone || value === null ? undefined : value,
    expiresAtMs: undefined,
  };
}

/** About how large a record is, in bytes. */
export function sizeOf({ length }: KafkaRecord): number {
  return length + recordOverhead;
}

function bytesOf(name: string): Buffer {
  let bytes = nameBytes.get(name);
  if (bytes === undefined) {
    bytes = Buffer.from(name);
    if (nameBytes.size < mostNames) nameBytes.set(name, bytes);
  }
  return bytes;
}
