import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { PresenceEvent, PresenceMember } from "../../../gen/ts_ms/hub/v1/events_pb.ts";
import type { ListenResponse } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import type { HeaderFilter } from "../room/header-filter.ts";

/** A part of what was kept of a room. */
export interface ListenedHistory {
  readonly events: readonly ListenResponse[];
  readonly position: string;
  readonly top: string;
  readonly complete: boolean;
}

/** Who is in a room. */
export interface ListenedPresence {
  readonly members: PresenceMember[];
  readonly users: number;
  readonly connections: number;
}

/** What a subscriber has handled of a room. */
export interface Acknowledgement {
  readonly topic: string;
  readonly room: string;
  readonly subscriber: string;
  readonly position: string;
}

/** A hub, as its service reads it for clients: what they may is decided by topics. */
export interface ListenedHub {
  /**
   * Joins rooms, and gives what comes there.
   *
   * @param rooms as selectors write them
   * @throws ConnectError INVALID_ARGUMENT naming `rooms[i]`, or what refuses the call
   */
  listen(
    rooms: readonly string[],
    context: HandlerContext,
    filter: HeaderFilter | undefined,
  ): AsyncIterable<Message>;
  /** @throws ConnectError INVALID_ARGUMENT, FAILED_PRECONDITION, or what refuses the call */
  ack(ack: Acknowledgement, context: HandlerContext): Promise<void>;
  /** @throws ConnectError INVALID_ARGUMENT naming `room`, or what refuses the call */
  history(
    room: string,
    context: HandlerContext,
    options: { readonly after?: string; readonly limit?: number },
  ): Promise<ListenedHistory>;
  /** Who is in a room. @throws ConnectError as `history`, FAILED_PRECONDITION for a topic without presence */
  presence(room: string, context: HandlerContext): Promise<ListenedPresence>;
  /** Who is in a room, and every change of it, until the call ends. @throws ConnectError as `presence` */
  watchPresence(room: string, context: HandlerContext): Promise<AsyncIterable<PresenceEvent>>;
}
