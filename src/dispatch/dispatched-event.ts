import { create, fromBinary, type Message, type MessageShape } from "@bufbuild/protobuf";
import { type EventSchema, EventSchema as schema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { type ConditionEvent, reflectedEvent } from "../core/condition/event-condition.ts";
import { attributesOf, type CloudEvent } from "../messaging/cloud-event.ts";
import type { ConsumedMessage } from "../messaging/message-context.ts";
import type { EventType, EventTypes } from "./event-types.ts";

/** Header with how often dispatchers have published an event. */
export const hopsHeader = "x-ts-ms-hops";

/** An event as it is kept in tasks. */
export type KeptEvent = MessageShape<typeof EventSchema>;

/** An event that subscriptions may want. Its message is decoded when something needs it. */
export class DispatchedEvent implements ConditionEvent {
  readonly type: EventType;
  readonly kept: KeptEvent;
  #attributes: ReadonlyMap<string, string> | undefined;
  #message: Message | undefined;
  #data: ConditionEvent["data"] | undefined;

  constructor(type: EventType, kept: KeptEvent) {
    this.type = type;
    this.kept = kept;
  }

  /** The event of a message that was delivered. @param data its message in protobuf's binary form */
  static of(type: EventType, message: ConsumedMessage, data: Uint8Array, hops: number): DispatchedEvent {
    const { id, source, subject, timeMs, extensions, key } = message;
    const kept = create(schema, {
      id,
      source,
      type: type.type,
      ...(subject !== undefined && { subject }),
      ...(timeMs !== undefined && { timeMs: BigInt(Math.round(timeMs)) }),
      ...(key !== undefined && { key }),
      extensions: Object.fromEntries(extensions),
      data,
      hops,
    });
    return new DispatchedEvent(type, kept);
  }

  /** The event of a task; undefined for a type that this process does not know. */
  static kept(types: EventTypes, kept: KeptEvent | undefined): DispatchedEvent | undefined {
    const type = kept === undefined ? undefined : types.get(kept.type);
    return kept === undefined || type === undefined ? undefined : new DispatchedEvent(type, kept);
  }

  get id(): string {
    return this.kept.id;
  }

  get source(): string {
    return this.kept.source;
  }

  /** The attributes, as the event is published again. */
  get cloudEvent(): CloudEvent {
    const { id, source, type, subject, timeMs, extensions } = this.kept;
    return {
      id,
      source,
      type,
      subject,
      timeMs: timeMs === undefined ? undefined : Number(timeMs),
      extensions: new Map(Object.entries(extensions)),
    };
  }

  get attributes(): ReadonlyMap<string, string> {
    return (this.#attributes ??= new Map(attributesOf(this.cloudEvent)));
  }

  get message(): Message {
    return (this.#message ??= fromBinary(this.type.schema, this.kept.data));
  }

  get data(): ConditionEvent["data"] {
    return (this.#data ??= reflectedEvent(this.type.schema, this.message));
  }
}
