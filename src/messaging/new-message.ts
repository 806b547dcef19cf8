import { traceOf } from "../core/call/call-trace.ts";
import type { AttemptTrace } from "../core/call/client-trace.ts";
import { messageTracing } from "../core/call/message-trace.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { formatTraceparent, traceparentHeader, tracestateHeader } from "../core/metadata/trace-context.ts";
import type { OutgoingMessage } from "./broker.ts";
import type { CloudEvent } from "./event-attributes.ts";
import { expiryAttribute, expiryOf } from "./expiry.ts";
import { messageOf } from "./message-context.ts";
import { type EachHeader, type MessageMetadata, whyNoHeader } from "./message-metadata.ts";
import type { MessageOptions } from "./publish-options.ts";
import type { SenderOptions } from "./sender-options.ts";
import { structuredJson, writeStructured } from "./structured-event.ts";

/** What messages of one publisher have in common. */
export interface MessageParts {
  /** Name of the broker's system. */
  readonly system: string;
  readonly options: Pick<SenderOptions, "source" | "mode" | "maxMessageBytes">;
  readonly metadata: MessageMetadata;
  /** Makes the ids of messages. */
  readonly newId: () => string;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

/** A message before it has its attributes. */
export interface Draft {
  readonly topic: string;
  readonly type: string;
  readonly key: string | undefined;
  readonly subject: string | undefined;
  /** How long it is worth handling, in milliseconds; undefined for ever. */
  readonly expiresAfterMs: number | undefined;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly mandatory: boolean;
  /** What is said of this one message. */
  readonly given: Partial<MessageOptions>;
  /** Headers of the call that it is sent by; undefined for none. */
  readonly callHeaders: EachHeader | undefined;
}

/** A message that is to be sent. */
export interface MadeMessage {
  readonly message: OutgoingMessage;
  /** Its span, which ends when it is sent; undefined while traces are off. */
  readonly span: AttemptTrace | undefined;
}

const extensionName = /^[a-z0-9]{1,64}$/;
/** Attributes that have options of their own, or that we write. */
const namedAttributes: ReadonlySet<string> = new Set([
  "specversion",
  "id",
  "source",
  "type",
  "subject",
  "time",
  "datacontenttype",
  "data",
  "partitionkey",
]);
/** Of messages without any; it is never changed. */
const noHeaders = new Map<string, string>();
const control = /[\p{Cc}\p{Cs}]/u;

/**
 * Makes a message of a draft. It is part of the trace of its span, else of the call that publishes it.
 *
 * @throws ConnectError INVALID_ARGUMENT naming the option, RESOURCE_EXHAUSTED for a body that is too large
 */
export function newMessage(parts: MessageParts, draft: Draft): MadeMessage {
  const { options, wallMs } = parts;
  const { given, key } = draft;
  let headers = headersOf(parts, draft);
  const id = textOf("id", given.id) ?? parts.newId();
  const time = given.time === undefined ? wallMs() : Number(given.time);
  if (!(Math.abs(time) <= 8.64e15)) throw invalidArgument("time must be milliseconds since 1970, or a date");
  const span = messageTracing.tracer?.send({
    system: parts.system,
    topic: draft.topic,
    id,
    context: given.context,
    header: (name) => headers.get(name),
  });
  if (span !== undefined) {
    if (headers === noHeaders) headers = new Map();
    const into = headers;
    span.eachHeader((name, value) => void into.set(name, value));
  }
  const event: CloudEvent = {
    id,
    source: textOf("source", given.source) ?? options.source,
    type: draft.type,
    subject: textOf("subject", given.subject) ?? draft.subject,
    timeMs: time,
    extensions: extensionsOf(draft, headers, wallMs),
  };
  const plain = { contentType: draft.contentType, contentEncoding: undefined, body: draft.body };
  const isStructured = options.mode === "structured";
  const body = isStructured ? writeStructured(event, plain) : draft.body;
  checkSize(draft.type, body.length, options.maxMessageBytes);
  const message: OutgoingMessage = {
    to: { kind: "topic", topic: draft.topic },
    event,
    key,
    headers,
    contentType: isStructured ? structuredJson : draft.contentType,
    contentEncoding: undefined,
    body,
    mandatory: draft.mandatory,
  };
  return { message, span };
}

function checkSize(type: string, bytes: number, maxMessageBytes: number): void {
  if (bytes <= maxMessageBytes) return;
  throw new ConnectError(
    `not sent: the body of ${type} has ${bytes} bytes: maxMessageBytes is ${maxMessageBytes}`,
    Code.ResourceExhausted,
  );
}

/** A text that is given, and not empty. */
function textOf(name: keyof MessageOptions, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (text !== "" && !control.test(text)) return text;
  const description = text === "" ? "must not be empty" : "must have no control characters";
  throw invalidArgument(`${name} ${description}`, [{ field: name, description }]);
}

function headersOf({ metadata }: MessageParts, { given, callHeaders }: Draft): Map<string, string> {
  if (given.headers === undefined && given.context === undefined && callHeaders === undefined)
    return noHeaders;
  const headers = new Map<string, string>();
  if (given.headers !== undefined) addGiven(given.headers, headers);
  if (callHeaders !== undefined) metadata.add(callHeaders, headers);
  const { context } = given;
  if (context === undefined) return headers;
  const trace = headers.has(traceparentHeader) ? undefined : traceOf(context);
  if (trace !== undefined) headers.set(traceparentHeader, formatTraceparent(trace));
  if (callHeaders === undefined) metadata.addCaused(context.requestHeader, headers);
  return headers;
}

function addGiven(given: Readonly<Record<string, string>>, headers: Map<string, string>): void {
  for (const [anyCase, value] of Object.entries(given)) {
    const name = anyCase.toLowerCase();
    const problem = whyNoHeader(name) ?? (control.test(value) ? "has a control character" : undefined);
    if (problem !== undefined) throw invalidArgument(`the header ${JSON.stringify(name)} ${problem}`);
    headers.set(name, value);
  }
}

function extensionsOf(
  { given, key, expiresAfterMs }: Draft,
  headers: ReadonlyMap<string, string>,
  wallMs: () => number,
): ReadonlyMap<string, string> {
  const extensions = new Map<string, string>();
  if (key !== undefined) extensions.set("partitionkey", key);
  const worthMs = given.expiresAfterMs ?? expiresAfterMs;
  if (worthMs !== undefined) {
    if (!(worthMs > 0)) throw invalidArgument(`expiresAfterMs must be above 0, not ${worthMs}`);
    extensions.set(expiryAttribute, expiryOf(wallMs() + worthMs));
  }
  if (headers.size > 0) {
    for (const name of [traceparentHeader, tracestateHeader]) {
      const value = headers.get(name);
      if (value !== undefined) extensions.set(name, value);
    }
  }
  const consumed = given.context === undefined ? undefined : messageOf(given.context);
  if (consumed !== undefined) {
    extensions.set("correlationid", consumed.extensions.get("correlationid") ?? consumed.id);
    extensions.set("causationid", consumed.id);
  }
  if (given.extensions !== undefined) addExtensions(given.extensions, extensions);
  return extensions;
}

function addExtensions(given: Readonly<Record<string, string>>, extensions: Map<string, string>): void {
  for (const [name, value] of Object.entries(given)) {
    if (!extensionName.test(name) || namedAttributes.has(name)) {
      throw invalidArgument(
        `extensions cannot have ${JSON.stringify(name)}: an extension has a name of a-z and 0-9`,
      );
    }
    if (control.test(value)) throw invalidArgument(`the extension ${name} has a control character`);
    extensions.set(name, value);
  }
}
