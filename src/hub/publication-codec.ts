import { create } from "@bufbuild/protobuf";
import { messageDecoder } from "../core/codec/binary-to-message.ts";
import { type PublicationRecord, PublicationRecordSchema } from "../../gen/ts_ms/hub/v1/publication_pb.ts";
import { binaryWriter } from "../core/codec/message-to-binary.ts";
import { type MessageForm, shareMessage } from "../core/codec/shared-message.ts";
import type { Clock } from "../core/time/clock.ts";
import type { PublicationForm, ReadPublication } from "./bus/bus.ts";
import type { Entry } from "./connections/entry.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import type { Priority, Publication } from "./room/publication.ts";
import type { TopicShape } from "./topic-shape.ts";

/** With what publications are read. */
export interface PublicationCodecInit {
  /** What the contract says of the topic of a name; undefined where the hub has none of this name. */
  readonly shapeOf: (topic: string) => TopicShape | undefined;
  /** The connection of an id; undefined for that of another node. */
  readonly entryOf: (id: string) => Entry | undefined;
  readonly scope: SelectorScope;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** A message was written, for all that get it in this form. */
  readonly encoded: (form: MessageForm) => void;
}

const writeRecord = binaryWriter(PublicationRecordSchema);
const readRecord = messageDecoder(PublicationRecordSchema);

/** Writes publications for buses that join processes, and reads what other nodes have written. */
export class PublicationCodec implements PublicationForm {
  readonly #init: PublicationCodecInit;

  constructor(init: PublicationCodecInit) {
    this.#init = init;
  }

  write(topic: string, publication: Publication, number: number): Uint8Array<ArrayBuffer> {
    const { id, message, headers, key, priority, ttlMs, selector, notTo, event, encoded } = publication;
    const schema = this.#init.shapeOf(topic)?.schema;
    if (schema === undefined) throw new Error(`there is no topic ${topic}`); // Topics are there before their rooms.
    const record = create(PublicationRecordSchema, {
      id,
      message: encoded ?? binaryWriter(schema)(message),
      headers,
      node: this.#init.scope.node,
      number,
    });
    if (key !== undefined) record.key = key;
    if (priority !== "normal") record.priority = priority;
    if (event !== undefined) record.event = event;
    if (selector !== undefined) record.to = JSON.stringify(selector);
    if (notTo !== undefined) record.notTo = notTo.id;
    if (ttlMs !== undefined) {
      record.ttlMs = ttlMs;
      record.sentAtMs = this.#init.wallMs();
    }
    return writeRecord(record);
  }

  read(topic: string, bytes: Uint8Array): ReadPublication | undefined {
    const shape = this.#init.shapeOf(topic);
    if (shape === undefined) return undefined;
    try {
      return this.#read(shape, readRecord(bytes));
    } catch {
      return undefined; // It is no record, or of a type that the topic no longer has.
    }
  }

  #read({ schema }: TopicShape, record: PublicationRecord): ReadPublication {
    const { scope, clock, wallMs, encoded, entryOf } = this.#init;
    const { id, headers, key, priority, ttlMs, sentAtMs, event, to, notTo, node, number } = record;
    const message = messageDecoder(schema)(record.message);
    shareMessage(message, { event: event === "" ? undefined : event, headers, made: encoded });
    const selector = to === "" ? undefined : (JSON.parse(to) as Selector); // It is checked as it is compiled.
    const publication: Publication = {
      id,
      message,
      headers: Object.freeze(headers),
      bytes: record.message.byteLength,
      key: key === "" ? undefined : key,
      priority: isPriority(priority) ? priority : "normal",
      ttlMs: ttlMs > 0 ? ttlMs : undefined,
      to: selector && compileSelector(selector, scope),
      selector,
      notTo: notTo === "" ? undefined : entryOf(notTo),
      event: event === "" ? undefined : event,
      encoded: undefined,
      delivered: undefined,
    };
    const untilMs = ttlMs > 0 ? clock.nowMs() + sentAtMs + ttlMs - wallMs() : undefined;
    return { publication, untilMs, node, number };
  }
}

function isPriority(text: string): text is Priority {
  return text === "low" || text === "high";
}
