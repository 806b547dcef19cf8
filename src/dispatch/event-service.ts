import { EventService as descriptor } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { Service } from "../core/call/service.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { bodyReader, decodeBody } from "../messaging/body-codec.ts";
import { eventOf, type RawMessage, type ReadEvent } from "../messaging/cloud-event.ts";
import type { DispatchOptions } from "./dispatch-options.ts";
import type { DispatcherCore } from "./dispatcher-core.ts";
import { type EventType, type EventTypes, unknownType } from "./event-types.ts";

/** The most bytes of one event. */
const maxMessageBytes = 1024 * 1024;
const attributeHeader = /^ce-/;

/**
 * Headers of CloudEvents, for the option `forwardHeaders` of an `HttpServer` in front of the service of events: without
 * them it takes events in structured mode alone.
 */
export const cloudEventHeaders: readonly string[] = Object.freeze(
  [
    ["specversion", "id", "source", "type", "subject", "time", "dataschema"],
    ["partitionkey", "traceparent", "tracestate", "expirytime", "correlationid", "causationid", "sequence"],
  ]
    .flat()
    .map((name) => `ce-${name}`),
);

/** Attributes that are arguments of their own when an event is published. */
const named: ReadonlySet<string> = new Set(["traceparent", "tracestate", "partitionkey"]);

/** The service that takes events. Its contract, `ts_ms/dispatch/v1/dispatch.proto`, documents it. */
export function eventService(
  core: Pick<DispatcherCore, "types" | "publisher" | "registry">,
  { topics }: Pick<DispatchOptions, "topics">,
): Service<typeof descriptor> {
  const { types, publisher, registry } = core;
  return {
    descriptor,
    async publishEvent({ contentType, data }, context) {
      const headers = [...context.requestHeader].filter(([name]) => attributeHeader.test(name));
      const read = readEvent({
        headers,
        contentType: contentType || undefined,
        contentEncoding: undefined,
        body: data,
      });
      const { event } = read;
      const type = eventType(types, event.type);
      if (!topics.includes(type.topic))
        throw wrong(`events of the type ${event.type} are not taken here: their topic is ${type.topic}`);
      const message = await messageOf(type, read.data, registry);
      const extensions = [...event.extensions].filter(([name]) => !named.has(name));
      const key = event.extensions.get("partitionkey");
      const { id, topic } = await publisher.publish(type.schema, message, {
        ...{ id: event.id, source: event.source, context, extensions: Object.fromEntries(extensions) },
        ...(event.subject !== undefined && { subject: event.subject }),
        ...(event.timeMs !== undefined && { time: event.timeMs }),
        ...(key !== undefined && { key }),
        signal: context.signal,
      });
      context.responseHeader.set("x-http-status", "202");
      return { id, topic };
    },
  };
}

/** @throws ConnectError INVALID_ARGUMENT for a type that is not known */
export function eventType(types: EventTypes, name: string): EventType {
  const type = types.get(name);
  if (type !== undefined) return type;
  throw wrong(unknownType(types, name));
}

/** @throws ConnectError INVALID_ARGUMENT for what is no event */
export function readEvent(message: RawMessage): Extract<ReadEvent, { kind: "event" }> {
  const read = eventOf(message);
  if (read.kind === "event") return read;
  throw wrong(
    read.kind === "untyped"
      ? "no attributes of CloudEvents have come: send headers ce-…, which the HTTP server forwards, or application/cloudevents+json"
      : read.why,
  );
}

/** @throws ConnectError INVALID_ARGUMENT for data that is no message of the type */
export async function messageOf(
  { schema, type }: EventType,
  data: Parameters<typeof decodeBody>[1],
  registry: DispatcherCore["registry"],
) {
  const reader = bodyReader(schema, { registry });
  const decoded = await decodeBody(reader, data, {
    maxMessageBytes,
    framing: "none",
    json: { registry },
  });
  if (decoded.kind === "message") return decoded.value;
  throw wrong(`the data of the event is no message of ${type}: ${decoded.why}`);
}

function wrong(why: string): ConnectError {
  return invalidArgument(`the event cannot be used: ${why}`);
}
