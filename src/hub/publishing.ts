import { randomUUID } from "node:crypto";
import { clone, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { messageMaker } from "../core/codec/init-to-message.ts";
import { CallContext } from "../core/call/context.ts";
import { binaryWriter } from "../core/codec/message-to-binary.ts";
import { type MessageForm, shareMessage } from "../core/codec/shared-message.ts";
import { fieldsOf, setField } from "../core/codec/field-shape.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { Entry } from "./connections/entry.ts";
import { compileSelector, type SelectorScope } from "./connections/selector.ts";
import { confirmHeader } from "./room/confirmations.ts";
import type { EventHeaders } from "./room/header-filter.ts";
import type { Priority, Publication } from "./room/publication.ts";
import type { PublishOptions, SendOptions } from "./topic-options.ts";
import type { TopicShape } from "./topic-shape.ts";

/** What publications of a topic have in common. */
export interface PrepareKit {
  readonly scope: SelectorScope;
  readonly maxMessageBytes: number;
  /** Whether ids of messages are positions. */
  readonly hasPositions: boolean;
  /** Is told of every form that the message is written as. */
  readonly encoded: (form: MessageForm) => void;
  /** With what its clients confirm it; undefined where they do not. */
  readonly token?: string | undefined;
}

const maxHeaders = 16;
const maxHeaderBytes = 1_024;
const maxIdLength = 128;
/** What timers can wait for. */
const longestMs = 2 ** 31 - 1;
const headerName = /^(?!ts-ms-)[a-z0-9-]{1,64}$/;
const eventName = /^[A-Za-z0-9_.-]{1,64}$/;
const priorities: ReadonlySet<string> = new Set<Priority>(["low", "normal", "high"]);
const noHeaders: EventHeaders = Object.freeze({});
const control = /[\u0000-\u001f\u007f]/;

/**
 * Checks a message and how it is to be sent. The message is a copy: what its publisher does with his changes nothing.
 *
 * @throws ConnectError INVALID_ARGUMENT naming what cannot be used, RESOURCE_EXHAUSTED for a message that is too large
 */
export function prepare<D extends DescMessage>(
  shape: TopicShape,
  init: MessageInitShape<D>,
  options: PublishOptions,
  { scope, maxMessageBytes, hasPositions, encoded, token }: PrepareKit,
): Publication {
  const { id = randomUUID(), to, from, echo = true, event, ttlMs, priority = "normal" } = options;
  if (typeof id !== "string" || id === "" || id.length > maxIdLength) {
    throw invalidArgument(`id: a text of 1 to ${maxIdLength} characters is expected`);
  }
  if (!priorities.has(priority)) throw invalidArgument("priority: low, normal or high is expected");
  if (ttlMs !== undefined && !(ttlMs > 0))
    throw invalidArgument("ttlMs: a number of milliseconds is expected");
  if (event !== undefined && !eventName.test(event)) {
    throw invalidArgument("event: 1 to 64 letters, digits and _.- are expected");
  }
  const headers = checkedHeaders(options.headers ?? {}, token);
  const message = messageOf(shape, init);
  const { idField, headersField } = shape;
  // A position comes there with it; another id would be taken for one.
  if (idField !== undefined) setField(message, idField, hasPositions ? "" : id);
  if (headersField !== undefined) setField(message, headersField, headers);
  shareMessage(message, { event, headers, made: encoded });
  const bytes = bytesOf(shape.schema, message, maxMessageBytes);
  return {
    id,
    message,
    headers,
    key: keyOf(shape, message, options.key),
    priority,
    ttlMs,
    to: to === undefined ? undefined : compileSelector(to, scope),
    selector: to,
    notTo: echo ? undefined : publisherOf(from),
    event,
    bytes: bytes.byteLength,
    encoded: bytes,
    delivered: undefined,
  };
}

/** @throws ConnectError INVALID_ARGUMENT */
function keyOf({ keyField }: TopicShape, message: Message, asked: string | undefined): string | undefined {
  if (asked !== undefined) {
    if (typeof asked === "string" && asked !== "" && asked.length <= maxIdLength) return asked;
    throw invalidArgument(`key: a text of 1 to ${maxIdLength} characters is expected`);
  }
  if (keyField === undefined) return undefined;
  const value = String(fieldsOf(message)[keyField.localName]);
  return value === "" ? undefined : value;
}

/** A copy of what a publisher gives. @throws ConnectError INVALID_ARGUMENT */
export function messageOf({ name, schema }: TopicShape, init: MessageInitShape<DescMessage>): Message {
  const { $typeName } = init as Partial<Message>; // Only messages have one.
  if ($typeName !== undefined && $typeName !== schema.typeName) {
    throw invalidArgument(`the topic ${name} is of ${schema.typeName}, and the message of ${$typeName}`);
  }
  return encoded(() => {
    const message = messageMaker(schema)(init);
    // Of plain values a message has been made that shares nothing with them.
    return $typeName === undefined && isFlat(init) ? message : clone(schema, message);
  });
}

/** Whether no value can be changed. */
function isFlat(init: object): boolean {
  for (const value of Object.values(init)) if (typeof value === "object" && value !== null) return false;
  return true;
}

function bytesOf(schema: DescMessage, message: Message, maxBytes: number): Uint8Array {
  const bytes = encoded(() => binaryWriter(schema)(message));
  if (bytes.byteLength <= maxBytes) return bytes;
  throw new ConnectError(
    `the message has ${bytes.byteLength} bytes; at most ${maxBytes} are published`,
    Code.ResourceExhausted,
  );
}

/** @throws ConnectError INVALID_ARGUMENT for a message with values that its fields cannot have */
function encoded<T>(work: () => T): T {
  try {
    return work();
  } catch (reason) {
    throw invalidArgument(
      `the message cannot be sent: ${reason instanceof Error ? reason.message : String(reason)}`,
    );
  }
}

/** How long confirmations are waited for, in milliseconds; undefined for not at all. @throws ConnectError INVALID_ARGUMENT */
export function confirmMs({ confirm }: SendOptions): number | undefined {
  if (confirm === undefined) return undefined;
  const { timeoutMs } = confirm;
  if (timeoutMs > 0 && timeoutMs <= longestMs) return timeoutMs;
  throw invalidArgument(`confirm: timeoutMs: a number of milliseconds up to ${longestMs} is expected`);
}

function checkedHeaders(headers: EventHeaders, token: string | undefined): EventHeaders {
  const entries = Object.entries(headers);
  if (entries.length > maxHeaders)
    throw invalidArgument(`headers: ${entries.length} headers; at most ${maxHeaders}`);
  for (const [name, value] of entries) {
    if (!headerName.test(name)) {
      throw invalidArgument(
        `headers: ${JSON.stringify(name.slice(0, 80))} is no name: a-z, 0-9 and - are, and no ts-ms-`,
      );
    }
    if (typeof value !== "string" || control.test(value) || Buffer.byteLength(value) > maxHeaderBytes) {
      throw invalidArgument(
        `headers: ${name}: a text of at most 1 KiB without control characters is expected`,
      );
    }
  }
  if (token !== undefined) entries.push([confirmHeader, token]);
  if (entries.length === 0) return noHeaders; // Rings keep them.
  return Object.freeze(Object.fromEntries(entries));
}

function publisherOf(from: SendOptions["from"]): Entry | undefined {
  const connection = from instanceof CallContext ? from.connection : undefined;
  return connection instanceof Entry ? connection : undefined;
}
