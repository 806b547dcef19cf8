import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { ListenResponse } from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import type { HeaderFilter } from "../room/header-filter.ts";

/** A part of what was kept of a room. */
export interface ListenedHistory {
  readonly events: readonly ListenResponse[];
  readonly position: string;
  readonly top: string;
  readonly complete: boolean;
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
}
