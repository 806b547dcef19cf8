import { createHash } from "node:crypto";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";
import { eachAttribute } from "../cloud-event.ts";
import { headerTextsOf, valueTextOf } from "./header-texts.ts";
import type { KafkaRecord } from "./peer.ts";

/** A message as Kafka stores it. Its bytes are made when it is sent. */
export interface RecordParts {
  readonly key: string | Uint8Array | undefined;
  /** Undefined for a tombstone. */
  readonly value: Uint8Array | undefined;
  /** What its headers say; undefined for a record without headers. */
  readonly message: OutgoingMessage | undefined;
  /** About how large it is: not less than the characters of its texts and the bytes of all else. */
  readonly bytes: number;
}

/** Takes a header of a record. */
export type TakeRecordHeader = (name: string, value: string) => void;

/** Begins the names of the headers that are attributes of CloudEvents. */
const attributePrefix = "ce_";
/** The names of attributes with the prefix, so that each is made once. */
const attributeNames = new Map<string, string>();
/** Senders choose the names of extensions: so many are kept. */
const mostNames = 1_000;
/** The key of a dead letter, whose record has another one: of source and id. */
const keyHeader = "x-ts-ms-key";
/** Says of a dead letter that its message is a tombstone: one in a compacted topic would take it out. */
const tombstoneHeader = "x-ts-ms-tombstone";
const empty = new Uint8Array();
const recordOverhead = 32;
/** The names and lengths of all attributes that events have without extensions, their time, the content type and encoding. */
const attributesOverhead = 160;
/** The prefix and the lengths of a header, at the most. */
const headerOverhead = 8;
/** The names of what dead letters have besides. */
const letterOverhead = 64;

/** A message in the form of Kafka's binding of CloudEvents: attributes in headers, the content type in one too. */
export function toRecord(message: OutgoingMessage): RecordParts {
  const { body } = message;
  const isDead = isLetter(message);
  const key = isDead ? letterKey(message) : message.key;
  const value = body ?? (isDead ? empty : undefined);
  let bytes = recordOverhead + headerChars(message) + (value?.length ?? 0) + (key?.length ?? 0);
  if (isDead) bytes += letterOverhead + (message.key?.length ?? 0);
  return { key, value, message, bytes };
}

/** A record that takes out what has its key, in a topic that is compacted. */
export function tombstoneOf(key: Uint8Array): RecordParts {
  return { key, value: undefined, message: undefined, bytes: recordOverhead + key.length };
}

/** Calls a function with each header of the record of a message. */
export function eachRecordHeader(message: OutgoingMessage, take: TakeRecordHeader): void {
  const { event, headers, contentType, contentEncoding } = message;
  if (headers.size > 0) {
    for (const [name, value] of headers) {
      if (name !== keyHeader && name !== tombstoneHeader) take(name, value);
    }
  }
  if (event !== undefined) eachAttribute(event, (name, value) => take(attributeNameOf(name), value));
  if (contentType !== undefined) take("content-type", contentType);
  if (contentEncoding !== undefined) take("content-encoding", contentEncoding);
  if (!isLetter(message)) return;
  if (message.key !== undefined) take(keyHeader, message.key);
  if (message.body === undefined) take(tombstoneHeader, "true");
}

function isLetter({ to }: OutgoingMessage): boolean {
  return to.kind === "queue" && to.queue.kind === "dead";
}

/** About how many characters the headers of a message have. */
function headerChars({ event, headers, contentType = "", contentEncoding = "" }: OutgoingMessage): number {
  let chars = attributesOverhead + contentType.length + contentEncoding.length;
  if (headers.size > 0) {
    for (const [name, value] of headers) chars += name.length + value.length + headerOverhead;
  }
  if (event === undefined) return chars;
  const { id, source, type, subject = "", extensions } = event;
  chars += id.length + source.length + type.length + subject.length;
  for (const [name, value] of extensions) chars += name.length + value.length + headerOverhead;
  return chars;
}

function attributeNameOf(attribute: string): string {
  let name = attributeNames.get(attribute);
  if (name === undefined) {
    name = attributePrefix + attribute;
    if (attributeNames.size < mostNames) attributeNames.set(attribute, name);
  }
  return name;
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
    const texts = headerTextsOf(nameOf);
    const text = bytes === null ? "" : valueTextOf(texts, bytes);
    const { name, lowerCase: lower } = texts;
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
