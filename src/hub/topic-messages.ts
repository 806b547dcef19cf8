import { create, type Message } from "@bufbuild/protobuf";
import { type PresenceEvent, ResetReason, ResetSchema } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { type MessageForm, sharedOf, shareMessage } from "../core/codec/shared-message.ts";
import { fieldsOf, setField } from "../core/codec/field-shape.ts";
import { messageOf } from "./publishing.ts";
import { formatPosition, type Position } from "./room/position.ts";
import type { Publication } from "./room/publication.ts";
import type { ResetMessage, RoomReset } from "./room/resets.ts";
import type { RoomKind } from "./room/room.ts";
import type { TopicInit } from "./topic-options.ts";
import type { TopicShape } from "./topic-shape.ts";

/** Compiles what a topic does with its messages. */
export function messagesOf(
  shape: TopicShape,
  snapshot: TopicInit["snapshot"],
): Pick<RoomKind, "stamp" | "restamp" | "resetMessage" | "snapshot"> {
  const { idField } = shape;
  return {
    stamp({ message }: Publication, position: Position) {
      const text = formatPosition(position);
      const known = sharedOf(message);
      if (known !== undefined) known.position = text;
      if (idField !== undefined) setField(message, idField, text);
    },
    restamp(message, position) {
      if (idField === undefined || fieldsOf(message)[idField.localName] === "") return message;
      const copy = Object.assign(Object.create(Object.getPrototypeOf(message) as object), message) as Message; // Of its own.
      setField(copy, idField, position);
      return copy;
    },
    resetMessage: resetMessageOf(shape),
    snapshot:
      snapshot &&
      (async (room) => {
        const messages: Message[] = [];
        for await (const init of await snapshot(room)) {
          const message = messageOf(shape, init);
          if (idField !== undefined) setField(message, idField, ""); // It has no place of its own.
          messages.push(message);
        }
        return messages;
      }),
  };
}

function resetMessageOf({ schema, idField, resetField }: TopicShape): ResetMessage | undefined {
  if (resetField === undefined) return undefined;
  return (reset, position) => {
    const message = create(schema);
    setField(message, resetField, resetOf(reset, position));
    if (idField !== undefined) setField(message, idField, position ?? "");
    return message;
  };
}

/**
 * Makes the messages that say who is in a room; undefined where the type of messages has no field for it.
 *
 * @param encoded is told of every form that one is written as
 */
export function presenceMessageOf(
  { schema, presenceField }: TopicShape,
  encoded: (form: MessageForm) => void,
): ((event: PresenceEvent) => Message) | undefined {
  if (presenceField === undefined) return undefined;
  return (event) => {
    const message = create(schema);
    setField(message, presenceField, event);
    shareMessage(message, { made: encoded });
    return message;
  };
}

/** As `ts_ms.hub.v1.Reset`. */
export function resetOf({ room, reason, missed = 0 }: RoomReset, position: string | undefined) {
  return create(ResetSchema, {
    room,
    reason: ResetReason[reason],
    missed: BigInt(missed),
    position: position ?? "",
  });
}
