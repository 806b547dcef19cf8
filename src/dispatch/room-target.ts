import type { DescMessage, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { compileField } from "../messaging/message-field.ts";
import type { DispatchRooms } from "./dispatch-options.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";
import { endOf } from "./run-end.ts";
import type { Attempt, AttemptEnd, Target } from "./target.ts";

/** A part of the name of a room: a text, a path in the message, an attribute. */
type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "data" | "event"; readonly path: string };

const placeholder = /\{(data|event)\.([\w.]+)\}/g;

/**
 * The name of a room for each event, with values of the event in place of `{data.path}` and `{event.attribute}`.
 *
 * Values are percent-encoded, so that none of them makes another room of the name.
 */
export class RoomName {
  readonly #parts: readonly Part[];
  readonly #fields = new WeakMap<
    DescMessage,
    ReadonlyMap<string, (message: Message) => string | undefined>
  >();

  /**
   * @param schemas the types of events that can come, as far as they are known
   * @throws ConnectError INVALID_ARGUMENT for a name that cannot be used, and for a field that one of the types lacks
   */
  constructor(name: string, schemas: readonly DescMessage[]) {
    this.#parts = partsOf(name);
    for (const schema of schemas) this.#fieldsOf(schema);
  }

  /** @throws ConnectError INVALID_ARGUMENT where the event has no such value */
  of(event: DispatchedEvent): string {
    const fields = this.#fieldsOf(event.type.schema);
    const texts = this.#parts.map((part) => {
      if (part.kind === "text") return part.text;
      const value =
        part.kind === "event" ? event.attributes.get(part.path) : fields.get(part.path)?.(event.message);
      if (value === undefined || value === "")
        throw wrong(`the event has no ${part.kind}.${part.path}, which names its room`);
      return encodeURIComponent(value.toWellFormed());
    });
    return texts.join("");
  }

  #fieldsOf(schema: DescMessage): ReadonlyMap<string, (message: Message) => string | undefined> {
    let fields = this.#fields.get(schema);
    if (fields === undefined) {
      const paths = this.#parts.flatMap((part) => (part.kind === "data" ? part.path : []));
      fields = new Map(paths.map((path) => [path, fieldOf(schema, path)]));
      this.#fields.set(schema, fields);
    }
    return fields;
  }
}

function fieldOf(schema: DescMessage, path: string): (message: Message) => string | undefined {
  try {
    const field = compileField(schema.typeName, "the name of a room", schema, path);
    return (message) => field.textOf(message);
  } catch (reason) {
    throw wrong(reason instanceof Error ? reason.message : String(reason));
  }
}

function partsOf(name: string): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of name.matchAll(placeholder)) {
    const [whole, kind, path = ""] = match;
    if (match.index > end) parts.push({ kind: "text", text: name.slice(end, match.index) });
    parts.push({ kind: kind === "data" ? "data" : "event", path });
    end = match.index + whole.length;
  }
  if (end < name.length) parts.push({ kind: "text", text: name.slice(end) });
  if (parts.length === 0) throw wrong("must be set");
  if (parts.some((part) => part.kind === "text" && /[{}]/.test(part.text)))
    throw wrong("can have {data.path} and {event.attribute}, and no other braces");
  return parts;
}

/** Publishes the messages of events in rooms. */
export class RoomTarget implements Target {
  readonly kind = "room";
  readonly #rooms: DispatchRooms;
  readonly #name: RoomName;

  constructor(rooms: DispatchRooms, name: RoomName) {
    this.#rooms = rooms;
    this.#name = name;
  }

  async deliver(event: DispatchedEvent, _attempt: Attempt): Promise<AttemptEnd> {
    try {
      // A topic says itself what it does not take.
      await this.#rooms.publish(this.#name.of(event), event.message as never);
      return { kind: "done" };
    } catch (reason) {
      return endOf(reason);
    }
  }

  close(): void {}
}

/** @throws ConnectError INVALID_ARGUMENT naming the rooms that there are */
export function roomsNamed(rooms: Readonly<Record<string, DispatchRooms>>, topic: string): DispatchRooms {
  const found = Object.hasOwn(rooms, topic) ? rooms[topic] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(rooms).join(", ") || "none";
  throw new ConnectError(
    `subscription.room.topic: there are no rooms ${JSON.stringify(topic)}; there are ${known}`,
    Code.InvalidArgument,
  );
}

function wrong(why: string): ConnectError {
  const path = "subscription.room.name";
  return invalidArgument(`${path}: ${why}`, [{ field: path, description: why }]);
}
