import type { DescMethod, Message, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Identity } from "./connections/identity.ts";
import type { Connection } from "./connections/entry.ts";
import type { Selector } from "./connections/selector.ts";
import type { EventHeaders, HeaderFilter } from "./room/header-filter.ts";
import type { Deliveries } from "./room/publication.ts";

/** Who wants to join a room. */
export interface JoinAttempt<R extends Message = Message> {
  /** Undefined for an anonymous client. */
  readonly user: string | undefined;
  readonly identity: Identity;
  readonly room: string;
  /** The request of the call; undefined where a handler joins rooms itself. */
  readonly request: R | undefined;
  readonly connection: Connection;
  /** Fires when the call ends. */
  readonly signal: AbortSignal;
}

/** What is granted to who may join. */
export interface JoinGrant {
  /** Which publications the member gets, by their headers. Default: all. */
  readonly filter?: HeaderFilter;
}

/** Options of a topic; where the contract has a field too, this one wins. */
export interface TopicInit<R extends Message = Message> {
  /** See `ts_ms.v1.Topic`. */
  readonly name?: string;
  /** See `ts_ms.v1.Topic`. */
  readonly maxMembers?: number;
  /**
   * How many publications of a room are kept for members that are behind. A member that is further behind ends with
   * RESOURCE_EXHAUSTED, reason `SLOW_CONSUMER`. Default: 256.
   */
  readonly ringSize?: number;
  /** How long the `id` of a publication is known, in milliseconds. Default: 120,000. */
  readonly dedupeMs?: number;
  /**
   * Decides on each room that a call joins, all of them at once; the call is refused by what is thrown. Default: a topic
   * is as open as its rpc.
   */
  readonly authorize?: (attempt: JoinAttempt<R>) => void | JoinGrant | Promise<void | JoinGrant>;
}

/** The options of a topic that is an rpc. */
export type RpcTopicInit<M extends DescMethod> = TopicInit<MessageShape<M["input"]>>;

/** How a handler joins rooms. */
export interface JoinOptions {
  /** Which publications are wanted, by their headers. Default: all. */
  readonly filter?: HeaderFilter;
}

/** How a message is sent. */
export interface SendOptions {
  /** At most 16; names of `[a-z0-9-]` up to 64 characters that do not begin with `ts-ms-`, values up to 1 KiB. Default: none. */
  readonly headers?: EventHeaders;
  /** The connections that it is for. Default: all. */
  readonly to?: Selector;
  /** The call whose handler publishes. */
  readonly from?: HandlerContext;
  /** Whether it is for the connection of `from` too. Default: true. */
  readonly echo?: boolean;
  /** At most 128 characters; one that was used already within `dedupeMs` is not sent again. Default: a UUID. */
  readonly id?: string;
}

/** How a message is published in a room. */
export type PublishOptions = SendOptions;

/** A message for a room. */
export interface RoomPublication<I> {
  readonly room: string;
  readonly message: I;
  readonly options?: PublishOptions;
}

/** What has become of a message, for the members at that moment. */
export interface Receipt extends Readonly<Deliveries> {
  readonly id: string;
  /** Whether the id was known: nothing was sent again. */
  readonly duplicate: boolean;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}
