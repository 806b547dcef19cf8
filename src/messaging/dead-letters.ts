import { codeName } from "../core/errors/code-name.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import type { Delivery, IncomingMessage, OutgoingMessage } from "./broker.ts";
import { eventOf } from "./cloud-event.ts";
import type { DeadReason } from "./outcome.ts";

/** What begins the names of the headers by which a message says what has become of it. */
const ours = "x-ts-ms-";
const dead = `${ours}dead-`;
/** Header with the number of attempts that have failed. */
export const attemptHeader = `${ours}attempt`;
/** Header with how often a message was replayed. */
export const replaysHeader = `${dead}replays`;
/** Header with why a message is a dead letter. */
export const reasonHeader = `${dead}reason`;
/** Header with the time at which a message became a dead letter, as a text of RFC 3339. */
export const deadAtHeader = `${dead}at`;
const firstAtHeader = `${dead}first-at`;

/** The longest text of an error that is kept, in bytes. */
const messageBytes = 512;
/** The most bytes of all our headers. */
const allBytes = 2048;

/** Where a message could not be handled, and why. */
export interface DeadLetterNote {
  readonly reason: DeadReason;
  /** What has failed; undefined where nothing was run. */
  readonly error: ConnectError | undefined;
  /** A sentence for people where there is no error. */
  readonly why: string;
  /** Attempts that were made. */
  readonly attempts: number;
  /** The rpc; undefined where none takes it. */
  readonly rpc: string | undefined;
  readonly topic: string;
  readonly group: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** A message on its way to the dead-letter queue of its group, with what is known of its end. */
export function deadLetterOf(
  delivery: Pick<Delivery, "message" | "partition" | "offset">,
  note: DeadLetterNote,
): OutgoingMessage {
  const { topic, group, atMs } = note;
  const copy = copyOf(delivery.message);
  const at = new Date(atMs).toISOString();
  const before = copy.headers.get(firstAtHeader);
  const texts: [name: string, text: string][] = [
    [reasonHeader, note.reason],
    [`${dead}code`, note.error === undefined ? "" : codeName(note.error.code)],
    [`${dead}attempts`, String(note.attempts)],
    [`${dead}rpc`, note.rpc ?? ""],
    [`${dead}group`, group],
    [`${dead}topic`, topic],
    [`${dead}partition`, delivery.partition === undefined ? "" : String(delivery.partition)],
    [`${dead}offset`, delivery.offset === undefined ? "" : String(delivery.offset)],
    [firstAtHeader, before === undefined ? at : oneLine(before, 40)],
    [deadAtHeader, at],
    [replaysHeader, String(countIn(copy.headers, replaysHeader))],
  ];
  const headers = withoutOurs(copy.headers);
  let left = allBytes;
  for (const [name, text] of texts) {
    const value = oneLine(text, messageBytes);
    if (value === "") continue;
    headers.set(name, value);
    left -= name.length + Buffer.byteLength(value);
  }
  const name = `${dead}message`;
  const said = oneLine(note.error?.rawMessage ?? note.why, Math.min(messageBytes, left - name.length));
  if (said !== "") headers.set(name, said);
  return { ...copy, headers, to: { kind: "queue", topic, group, queue: { kind: "dead" } } };
}

/** A message on its way to a retry queue. @param attempt how many have failed */
export function retryOf(
  { message }: Delivery,
  topic: string,
  group: string,
  delayMs: number,
  attempt: number,
): OutgoingMessage {
  const copy = copyOf(message);
  const headers = new Map(copy.headers).set(attemptHeader, String(attempt));
  return { ...copy, headers, to: { kind: "queue", topic, group, queue: { kind: "retry", delayMs } } };
}

/** A dead letter on its way back to the group that could not handle it: its attempts begin again. */
export function replayOf(message: IncomingMessage, topic: string, group: string): OutgoingMessage {
  const copy = copyOf(message);
  const headers = withoutOurs(copy.headers);
  const firstAt = copy.headers.get(firstAtHeader);
  if (firstAt !== undefined) headers.set(firstAtHeader, firstAt);
  headers.set(replaysHeader, String(countIn(copy.headers, replaysHeader) + 1));
  return { ...copy, headers, to: { kind: "queue", topic, group, queue: { kind: "again" } } };
}

/** The number in one of our headers, at least 0. */
export function countIn(headers: ReadonlyMap<string, string>, name: string): number {
  const text = headers.get(name);
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

/** A header, or a part of an error, as one line: valid UTF-8 of so many bytes at the most, without control characters. */
export function oneLine(text: string, bytes: number): string {
  const line = text
    .slice(0, bytes * 2)
    .replaceAll(/\p{Cc}+/gu, " ")
    .toWellFormed()
    .trim();
  if (Buffer.byteLength(line) <= bytes) return line;
  const { written } = new TextEncoder().encodeInto(line, new Uint8Array(Math.max(0, bytes)));
  return Buffer.from(line).subarray(0, written).toString();
}

/** A message with body, key, id and headers as they came. What is no event keeps its attributes as headers. */
function copyOf(message: IncomingMessage): Omit<OutgoingMessage, "to"> {
  const { contentType, contentEncoding, key, body } = message;
  const read = eventOf(message);
  const isStructured = contentType !== undefined && /^application\/cloudevents/i.test(contentType);
  const event = read.kind === "event" && !isStructured ? read.event : undefined;
  const headers = read.kind === "undecodable" && !isStructured ? textsOf(message) : read.headers;
  return { event, key, headers, contentType, contentEncoding, body, mandatory: false };
}

/** Headers that are texts, numbers or booleans, the first of each name. */
function textsOf({ headers }: IncomingMessage): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (texts.has(lower)) continue;
    if (typeof value === "string") texts.set(lower, value.toWellFormed());
    else if (value instanceof Uint8Array) texts.set(lower, Buffer.from(value).toString());
    else if (["number", "boolean", "bigint"].includes(typeof value)) texts.set(lower, String(value));
  }
  return texts;
}

function withoutOurs(headers: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...headers].filter(([name]) => !name.startsWith(dead) && name !== attemptHeader));
}
