import type { Message } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../../../gen/google/rpc/error_details_pb.ts";
import { madeOnce, sharedOf } from "../../../../core/codec/shared-message.ts";
import type { ConnectError } from "../../../../core/errors/errors.ts";
import { retryAfterMsOf } from "../../../../core/errors/retry-info.ts";
import { resetPosition } from "../../../../core/metadata/stream-position.ts";
import { SharedBytes } from "../../../../core/wire/shared-bytes.ts";
import type { EventId } from "./event-id.ts";
import type {
  EncoderStart,
  MessageFrame,
  MessageText,
  PlaceText,
  StatusText,
  StreamEncoder,
  StreamEncoding,
  Trailers,
} from "./stream-encoding.ts";

/** Options of `sse`. */
export interface SseOptions {
  readonly statusText: StatusText;
  /** Returns the ids of messages; undefined for a counter. */
  readonly eventId: EventId | undefined;
  /** How long a client should wait before it reconnects, in milliseconds; 0 for the client's default. */
  readonly retryMs: number;
}

/** One event of an event stream. */
export interface ServerSentEvent {
  /** Name of the event. Default: `message`. */
  readonly event?: string;
  /** The id that a client sends back as `Last-Event-ID`. Omitted if it contains NUL or a line break. */
  readonly id?: string | undefined;
  /** Any text. */
  readonly data: string;
}

const lineBreak = /\r\n|\r|\n/;

/**
 * The text of an event. Line breaks of any kind in the data become lines of their own, so that no text can end its
 * event or begin another (WHATWG HTML, section 9.2 "Server-sent events").
 */
export function eventText({ event, id, data }: ServerSentEvent): string {
  let text = event === undefined ? "" : `event: ${event.split(lineBreak, 1)[0]}\n`;
  if (id !== undefined && !unsafeId.test(id)) text += `id: ${id}\n`;
  for (const line of data.split(lineBreak)) text += `data: ${line}\n`;
  return `${text}\n`;
}

// NUL makes clients ignore an id (section 9.2.6), line breaks would end it.
const unsafeId = /[\0\r\n]/;

/**
 * Server-Sent Events: an event for each message, with its JSON as data and an id from the message or from a counter
 * that continues after the client's `Last-Event-ID`. A successful stream ends with the event `end`, whose data is
 * `{"trailers":{…}}`; a failed one with the event `error`, whose data is the `google.rpc.Status`. A stream that ends
 * without either was interrupted, and the client reconnects.
 */
export function sse(options: SseOptions): StreamEncoding {
  const blocks = options.eventId && blocksOf(options.eventId);
  return {
    contentType: "text/event-stream",
    door: "sse",
    headers: { "cache-control": "no-cache", "x-accel-buffering": "no" },
    endsVisibly: true,
    begin: (start) => new SseEncoder(start, options, blocks?.(start.messageText)),
  };
}

/** Whole events of messages with ids of their own. */
interface Blocks {
  readonly text: MessageText;
  /** The same in bytes, which are the same for all clients of a form of JSON. */
  readonly shared: (message: Message) => SharedBytes;
}

function blocksOf(eventId: EventId): (messageText: MessageText) => Blocks {
  const known = new WeakMap<MessageText, Blocks>();
  return (messageText) => {
    let blocks = known.get(messageText);
    if (blocks === undefined) {
      const text: MessageText = (message) =>
        `${eventLine(message)}${beforeData(eventId.of(message))}${messageText(message)}\n\n`;
      blocks = { text, shared: madeOnce("sse", (message) => SharedBytes.ofText(text(message))) };
      known.set(messageText, blocks);
    }
    return blocks;
  };
}

function eventLine(message: Message): string {
  const event = sharedOf(message)?.event;
  return event === undefined ? "" : `event: ${event}\n`;
}

class SseEncoder implements StreamEncoder {
  readonly opening: string;
  readonly heartbeat = ": ping\n\n";
  readonly place: PlaceText = placeText;
  readonly reportsErrors = true;
  readonly #start: EncoderStart;
  readonly #options: SseOptions;
  /** Of messages with ids of their own; undefined where they are counted. */
  readonly #blocks: Blocks | undefined;
  #count: number;
  readonly frame: MessageFrame;

  constructor(start: EncoderStart, options: SseOptions, blocks: Blocks | undefined) {
    this.#start = start;
    this.#blocks = blocks;
    this.#options = options;
    this.#count = counterOf(start.lastEventId);
    this.opening = options.retryMs > 0 ? `${retryLine(options.retryMs)}\n` : ": open\n\n";
    this.frame = options.eventId === undefined ? this.#counted() : identified(options.eventId);
  }

  message(message: Message): string {
    if (this.#blocks !== undefined) return this.#blocks.text(message);
    return `${eventLine(message)}id: ${++this.#count}\ndata: ${this.#start.messageText(message)}\n\n`; // One line.
  }

  shared(message: Message): SharedBytes | undefined {
    return sharedOf(message) === undefined ? undefined : this.#blocks?.shared(message);
  }

  /** The JSON of a message is one line. */
  #counted(): MessageFrame {
    return {
      before: (index) => `id: ${this.#count + index + 1}\ndata: `,
      after: "\n\n",
      printed: (count) => {
        this.#count += count;
      },
    };
  }

  end(trailers: Trailers): string {
    return eventText({ event: "end", data: JSON.stringify({ trailers }) });
  }

  error(error: ConnectError): string {
    const reset = resetText(error);
    if (reset !== undefined) return retryLine(this.#options.retryMs || stopRetryMs) + reset;
    const retryMs = retryAfterMsOf(error);
    return (retryMs === undefined ? "" : retryLine(Math.ceil(retryMs))) + this.#error(error);
  }

  readonly stop = (error: ConnectError): string => {
    const isTimed = retryAfterMsOf(error) !== undefined;
    return (isTimed ? "" : retryLine(this.#options.retryMs || stopRetryMs)) + this.error(error);
  };

  #error(error: ConnectError): string {
    return eventText({ event: "error", data: this.#options.statusText(error) });
  }
}

const placeText: PlaceText = {
  // A block of an id alone is no event, and the client has the id (section 9.2.6).
  begin: (position, resets) =>
    `${idLine(position)}\n${resets.map((data) => eventText({ event: "reset", data })).join("")}`,
  heartbeat: (position) => `${idLine(position)}: ping\n\n`,
};

function idLine(id: string): string {
  return unsafeId.test(id) ? "" : `id: ${id}\n`;
}

/** The event by which a stream ends whose client comes back from another position; undefined for any other error. */
function resetText(error: ConnectError): string | undefined {
  const position = resetPosition(error);
  if (position === undefined) return undefined;
  const [info] = error.findDetails(ErrorInfoSchema);
  const { room = "", reason = "", missed = "0" } = info?.metadata ?? {};
  const data = JSON.stringify({ room, reason: `RESET_REASON_${reason}`, missed, position });
  return eventText({ event: "reset", id: position, data });
}

/** The ids are those of messages. */
function identified(eventId: EventId): MessageFrame {
  return {
    before: (_index, message) => beforeData(eventId.ofBytes(message)),
    after: "\n\n",
    printed: () => {},
  };
}

function beforeData(id: string | undefined): string {
  return id === undefined || unsafeId.test(id) ? "data: " : `id: ${id}\ndata: `;
}

/** How long clients of a server that stops should wait before they reconnect, if `retryMs` is 0; in milliseconds. */
const stopRetryMs = 1000;

function retryLine(retryMs: number): string {
  return `retry: ${retryMs}\n`;
}

/** The number after which the counter continues: 0 for ids that are not from a counter. */
function counterOf(lastEventId: string | undefined): number {
  return lastEventId !== undefined && /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : 0;
}
