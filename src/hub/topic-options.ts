import type { DescMessage, DescMethod, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Identity } from "./connections/identity.ts";
import type { Connection } from "./connections/connection.ts";
import type { Selector } from "./connections/selector.ts";
import type { EventHeaders, HeaderFilter } from "./room/header-filter.ts";
import type { Deliveries, Priority } from "./room/publication.ts";
import type { TopicSettingsInit } from "./topic-settings.ts";

/** Who wants to join a room. */
export interface JoinAttempt<R extends Message = Message> {
  /** Of the call, also where it is one of several on a socket; undefined for an anonymous client. */
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
  readonly filter?: HeaderFilter | undefined;
  /** When `authorize` is asked again, in milliseconds since 1970. Default: never. */
  readonly expiresAtMs?: number | undefined;
  /**
   * What others in the room see of the user, in a topic with `presence`: a message of a type that its contract imports, or a
   * `google.protobuf.Any`; at most 4 KiB. Default: what they have seen before, or nothing.
   */
  readonly info?: Message | undefined;
  /** Tags of the connection while it is in the room, beside those of its identity; at most 16. Default: none. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/** Options of a topic; where the contract has a field too, this one wins. */
export interface TopicInit<
  R extends Message = Message,
  D extends DescMessage = DescMessage,
> extends TopicSettingsInit {
  /** See `ts_ms.v1.Topic`. */
  readonly name?: string;
  /**
   * Decides on each room that a call joins, all of them at once; the call is refused by what is thrown. Default: a topic
   * is as open as its rpc.
   */
  readonly authorize?: (attempt: JoinAttempt<R>) => void | JoinGrant | Promise<void | JoinGrant>;
  /**
   * The state of a room: messages that a member without a position, or one that has missed some, gets before all others.
   * It is asked for behind the subscription, so that no change of it is missed.
   */
  readonly snapshot?: (room: string) => Snapshot<D> | Promise<Snapshot<D>>;
}

/** Messages that are the state of a room. */
export type Snapshot<D extends DescMessage> =
  | Iterable<MessageInitShape<D>>
  | AsyncIterable<MessageInitShape<D>>;

/** A member whose call sends messages, too. */
export interface SendingMember {
  /** Its call: `from` of what is published for it. */
  readonly context: HandlerContext;
  /** The rooms that it is in, as selectors write them. */
  readonly rooms: readonly string[];
  /** Undefined for an anonymous client. */
  readonly user: string | undefined;
  /** Id of its connection. */
  readonly connection: string;
}

/** The options of a topic that is an rpc. */
export interface RpcTopicInit<M extends DescMethod> extends TopicInit<MessageShape<M["input"]>, M["output"]> {
  /**
   * Of a bidirectional rpc: called with each message of a call behind the first one, when the call is a member; the next one
   * follows when the promise is settled. What it throws ends that call. Default: such a message is refused,
   * INVALID_ARGUMENT.
   */
  readonly onMessage?: (message: MessageShape<M["input"]>, member: SendingMember) => void | Promise<void>;
}

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
  /**
   * `high` passes everything that waits for a member; it has no position. `low` is not given to members that are behind.
   * Default: `normal`.
   */
  readonly priority?: Priority;
  /** It is not delivered later than that, in milliseconds. Default: as long as it is kept. */
  readonly ttlMs?: number;
  /** `event:` of server-sent events: `[A-Za-z0-9_.-]`, at most 64. Default: none, the event `message`. */
  readonly event?: string;
  /**
   * Whose members the receipt counts: those of this node, or of all nodes, of which answers are waited for up to
   * `countTimeoutMs`. Default: `local`.
   */
  readonly count?: "local" | "cluster";
  /**
   * Waits until each connection that it was sent to, on all nodes, has confirmed it behind its handler, or `timeoutMs`,
   * milliseconds, have passed. Its header `ts-ms-confirm` asks for that. Default: none is waited for.
   */
  readonly confirm?: { readonly timeoutMs: number };
  /** Aborts the wait for the bus; the message may be published all the same. Default: none. */
  readonly signal?: AbortSignal;
}

/** How a message is published in a room. */
export interface PublishOptions extends SendOptions {
  /** Of publications with the same key only the last one counts, where they are conflated. Default: that of its field. */
  readonly key?: string;
  /** Whether it gets a position and is kept, where the topic has history. Default: true. */
  readonly history?: boolean;
}

/** A message for a room. */
export interface RoomPublication<I> {
  readonly room: string;
  readonly message: I;
  readonly options?: PublishOptions;
}

/** What has become of a message, for the members at that moment. */
export interface Receipt extends Readonly<Deliveries> {
  readonly id: string;
  /** Undefined for what is not kept. */
  readonly position: string | undefined;
  /** Whether the id was known: nothing was sent again. */
  readonly duplicate: boolean;
  /** With `confirm`: connections that have confirmed it, on all nodes. */
  readonly confirmed?: number | undefined;
  /**
   * With `confirm`: connections that were sent it and have not confirmed it in time, on all nodes. Those that cannot count
   * from the start: all but WebSockets for many calls whose clients have said hello, as those of `ts-ms/hub-client` do.
   */
  readonly unconfirmed?: number | undefined;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Which part of a room's history is read. */
export interface HistoryOptions {
  /** The position behind which it begins. Default: from the oldest on. */
  readonly after?: string;
  /** The most messages, up to 1,000. Default: 100. */
  readonly limit?: number;
}

/** A part of a room's history. */
export interface HistoryPage<M> {
  /** The oldest one first. */
  readonly messages: readonly {
    /** Id of the publication. */
    readonly id: string;
    readonly position: string;
    readonly message: M;
    readonly headers: EventHeaders;
  }[];
  /** The position behind the last one: `after` of the next page. */
  readonly position: string;
  /** The last position of the room. */
  readonly top: string;
  /** Whether nothing is missing between `after` and the first one. */
  readonly complete: boolean;
}
