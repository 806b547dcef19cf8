import type { HandlerContext } from "@connectrpc/connect";
import { CallContext } from "../core/call/context.ts";
import { invalidArgument } from "../core/errors/errors.ts";
import type { Entry } from "./connections/entry.ts";
import { listen, listened, type ListenedRoom } from "./listening.ts";
import type { HeaderFilter } from "./room/header-filter.ts";
import { tooManyRooms } from "./rooms.ts";
import type { ListenedHistory, ListenedHub } from "./services/listened-hub.ts";
import type { HubTopic } from "./topic.ts";
import type { HistoryOptions } from "./topic-options.ts";

/** What clients read a hub by. */
export interface ListenedInit {
  readonly maxRoomsPerCall: number;
  /** Of `topic/room`. @throws ConnectError INVALID_ARGUMENT naming the field */
  readonly roomOf: (path: string, field: string) => { readonly topic: HubTopic; readonly room: string };
  /** A call that is no connection, as `authorize` sees it. */
  readonly visitorOf: (context: CallContext) => Promise<Entry>;
}

/** The rooms of a hub for clients of its service. */
export class ListenedRooms implements ListenedHub {
  readonly #init: ListenedInit;

  constructor(init: ListenedInit) {
    this.#init = init;
  }

  listen(paths: readonly string[], context: HandlerContext, filter: HeaderFilter | undefined) {
    const rooms = this.#roomsOf(paths);
    return listen(rooms, ours(context), { ...(filter !== undefined && { filter }) });
  }

  async history(path: string, context: HandlerContext, options: HistoryOptions): Promise<ListenedHistory> {
    const { topic, room } = await this.judged(path, context);
    const { messages, ...page } = await topic.history(room, options);
    return { ...page, events: messages.map(({ message }) => listened(message, topic, room)) };
  }

  /** A room that a call may read. @throws ConnectError by which it is refused */
  async judged(path: string, context: HandlerContext): Promise<{ topic: HubTopic; room: string }> {
    const found = this.#init.roomOf(path, "room");
    const call = ours(context);
    await found.topic.judge(
      { entry: await this.#visitor(call), context: call, request: undefined },
      found.room,
    );
    return found;
  }

  #visitor(context: CallContext): Promise<Entry> {
    return this.#init.visitorOf(context);
  }

  /** Each room once. @throws ConnectError INVALID_ARGUMENT, RESOURCE_EXHAUSTED for too many */
  #roomsOf(paths: readonly string[]): readonly ListenedRoom[] {
    const { roomOf, maxRoomsPerCall } = this.#init;
    const once = [...new Set(paths)];
    if (once.length === 0) {
      const description = "rooms are expected, such as chat/lobby";
      throw invalidArgument(`rooms: ${description}`, [{ field: "rooms", description }]);
    }
    if (once.length > maxRoomsPerCall) throw tooManyRooms(`a call joins at most ${maxRoomsPerCall} rooms`);
    return once.map((path) => {
      const { topic, room: name } = roomOf(path, `rooms[${paths.indexOf(path)}]`);
      return { topic, name };
    });
  }
}

/** @throws Error for a call that no server of this package has made: a fault of the program */
function ours(context: HandlerContext): CallContext {
  if (context instanceof CallContext) return context;
  throw new Error("the hub's service is called by a server that is none of GrpcServer and HttpServer");
}
