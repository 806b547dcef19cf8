import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import type { ConnectError } from "../core/errors/errors.ts";
import type { PresenceSnapshot } from "./presence/presence-events.ts";
import type { Selector } from "./connections/selector.ts";
import type {
  HistoryOptions,
  HistoryPage,
  JoinOptions,
  PublishOptions,
  Receipt,
  RoomPublication,
  SendOptions,
} from "./topic-options.ts";
import type { TopicMethod } from "./topic-shape.ts";

/** Messages of one type, published in rooms: what is published in a room reaches all members of it. */
export interface Topic<D extends DescMessage> {
  readonly name: string;
  /**
   * Publishes a message in a room; resolves when the bus has it. Publications of one process to one room reach every
   * member in the order of the calls.
   *
   * @throws ConnectError INVALID_ARGUMENT naming what cannot be used, RESOURCE_EXHAUSTED for a message that is too large,
   *   UNAVAILABLE when the bus is away; with the reason `PUBLISH_UNKNOWN` when it has not answered in `publishTimeoutMs`:
   *   then the message may be published, and publishing it with the same `id` again is safe
   */
  publish(room: string, message: MessageInitShape<D>, options?: PublishOptions): Promise<Receipt>;
  /** As `publish`, for several; each has an outcome of its own. */
  publishAll(list: readonly RoomPublication<MessageInitShape<D>>[]): Promise<(Receipt | ConnectError)[]>;
  /** Sends a message to the calls of this topic that a selector finds, to each connection once, whatever its rooms are. */
  send(to: Selector, message: MessageInitShape<D>, options?: SendOptions): Promise<Receipt>;
  /** Sends a message to everyone who reads this topic. */
  broadcast(message: MessageInitShape<D>, options?: SendOptions): Promise<Receipt>;
  /**
   * What is published in rooms from now on, for the call of a handler, which is a member while it reads. The first message
   * is asked for behind the join; what that is refused for is thrown then.
   */
  join(
    room: string | readonly string[],
    context: HandlerContext,
    options?: JoinOptions,
  ): AsyncIterable<MessageShape<D>>;
  /**
   * Who is in a room on all nodes, as its watchers know it: changes of the last `batch` are not there yet. Beyond
   * `maxMembers` there are counts alone.
   *
   * @throws ConnectError FAILED_PRECONDITION for a topic without presence
   */
  presence(room: string): Promise<PresenceSnapshot>;
  /**
   * Changes what others see of a member: a message of a type that the contract of the topic imports, or a
   * `google.protobuf.Any`, of at most 4 KiB.
   *
   * @param connection id of a connection with a call in the room
   * @throws ConnectError as `presence`, NOT_FOUND where the connection is not in the room, RESOURCE_EXHAUSTED for more
   *   changes than `updatesPerSecond`, INVALID_ARGUMENT for an info that cannot be written
   */
  setInfo(connection: string, room: string, info: Message): Promise<void>;
  /** The last position of a room. @throws ConnectError FAILED_PRECONDITION for a topic without history */
  position(room: string): Promise<string>;
  /**
   * Puts the last position of a room into the reply of a call, as its header `ts-ms-position`: for clients that load by one
   * rpc and read on by another, from that position. It belongs before the load.
   *
   * @throws ConnectError as `position`
   */
  mark(context: HandlerContext, room: string): Promise<void>;
  /** What was kept of a room. @throws ConnectError as `position`, INVALID_ARGUMENT for a position that is none */
  history(room: string, options?: HistoryOptions): Promise<HistoryPage<MessageShape<D>>>;
  /** Forgets what was kept of a room, whose members get a reset. @throws ConnectError as `position` */
  clear(room: string): Promise<void>;
}

/** A topic that is an rpc: its handler is `serve`. Of a bidirectional one the first message of a call names the room. */
export interface RpcTopic<M extends TopicMethod> extends Topic<M["output"]> {
  readonly serve: MethodImpl<M>;
}
