import type { PresenceEvent } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { toPresenceMember } from "./presence/presence-events.ts";
import type { HandlerContext } from "@connectrpc/connect";
import { CallContext } from "../core/call/context.ts";
import { invalidArgument } from "../core/errors/errors.ts";
import type { Entry } from "./connections/entry.ts";
import { listen, listened, type ListenedRoom } from "./listening.ts";
import type { HeaderFilter } from "./room/header-filter.ts";
import { tooManyRooms } from "./rooms.ts";
import { pathOf } from "./room/room.ts";
import type {
  Acknowledgement,
  ListenedHistory,
  ListenedHub,
  ListenedPresence,
} from "./services/listened-hub.ts";
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

/** A room that a call may read. */
interface JudgedRoom {
  readonly topic: HubTopic;
  readonly room: string;
  /** Of the call; undefined for an anonymous client. */
  readonly user: string | undefined;
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

  async presence(path: string, context: HandlerContext): Promise<ListenedPresence> {
    const { topic, room } = await this.judged(path, context);
    const { members, users, connections } = await topic.presence(room);
    return { members: members.map(toPresenceMember), users, connections };
  }

  async watchPresence(path: string, context: HandlerContext): Promise<AsyncIterable<PresenceEvent>> {
    const { topic, room } = await this.judged(path, context);
    return topic.watchPresence(room, context.signal);
  }

  async ack({ topic: name, room, subscriber, position }: Acknowledgement, context: HandlerContext) {
    const { topic, user } = await this.judged(pathOf(name, room), context);
    await topic.members.ack({ room, user, name: subscriber }, position);
  }

  /** @throws ConnectError by which the call is refused */
  async judged(path: string, context: HandlerContext): Promise<JudgedRoom> {
    const found = this.#init.roomOf(path, "room");
    const call = ours(context);
    const entry = await this.#init.visitorOf(call);
    await found.topic.members.judge({ entry, context: call, request: undefined }, found.room);
    return { ...found, user: entry.identityOf(call).user };
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
