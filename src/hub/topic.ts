import type {
  DescMessage,
  DescMethodServerStreaming,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { CallContext } from "../core/call/context.ts";
import { LiveSet } from "../core/call/live-set.ts";
import { type ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { Entry } from "./connections/entry.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import { join, type JoinLimits } from "./join.ts";
import { prepare } from "./publishing.ts";
import { RecentPublications } from "./recent-publications.ts";
import type { Member, MemberOwner } from "./room/member.ts";
import { noDeliveries, type Deliveries } from "./room/publication.ts";
import { checkRoom } from "./room/room-key.ts";
import type { Rooms } from "./rooms.ts";
import type {
  JoinOptions,
  PublishOptions,
  Receipt,
  RoomPublication,
  SendOptions,
  TopicInit,
} from "./topic-options.ts";
import type { RoomsOf, TopicShape } from "./topic-shape.ts";

/** Messages of one type, published in rooms: what is published in a room reaches all members of it. */
export interface Topic<D extends DescMessage> {
  readonly name: string;
  /**
   * Publishes a message in a room; resolves when the members have it, or will read it. Publications of one process to one
   * room reach every member in the order of the calls.
   *
   * @throws ConnectError INVALID_ARGUMENT naming what cannot be used, RESOURCE_EXHAUSTED for a message that is too large
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
}

/** A topic that is an rpc: its handler is `serve`. */
export interface RpcTopic<M extends DescMethodServerStreaming> extends Topic<M["output"]> {
  readonly serve: MethodImpl<M>;
}

/** What the topics of a hub have in common. */
export interface TopicKit {
  readonly rooms: Rooms;
  readonly scope: SelectorScope;
  readonly limits: JoinLimits & { readonly maxMessageBytes: number };
  readonly clock: Clock;
  readonly owner: TopicOwner;
}

/** Is told what topics do. */
export interface TopicOwner {
  joined(member: Member): void;
  left(member: Member): void;
  published(topic: string, deliveries: Deliveries): void;
  /** @param error undefined for a join that has succeeded */
  asked(topic: string, error: ConnectError | undefined): void;
}

const defaultRingSize = 256;
const defaultDedupeMs = 120_000;

/** A topic of a hub. Messages are of its schema, which the functions that make one give its type. */
export class HubTopic implements MemberOwner {
  readonly name: string;
  readonly #shape: TopicShape;
  readonly #init: TopicInit;
  readonly #kit: TopicKit;
  readonly #members = new LiveSet<Member>();
  readonly #recent: RecentPublications;

  constructor(shape: TopicShape, init: TopicInit, kit: TopicKit) {
    this.name = shape.name;
    this.#shape = shape;
    this.#init = init;
    this.#kit = kit;
    this.#recent = new RecentPublications(init.dedupeMs ?? defaultDedupeMs);
  }

  /** Calls that are members. */
  get members(): number {
    return this.#members.size;
  }

  async publish(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    checkRoom(room, "room", this.#shape.isNamed);
    return this.#sent(
      room,
      message,
      options,
      (prepared) => this.#kit.rooms.find(this.name, room)?.deliver(prepared) ?? noDeliveries(),
    );
  }

  async publishAll(
    list: readonly RoomPublication<MessageInitShape<DescMessage>>[],
  ): Promise<(Receipt | ConnectError)[]> {
    const all = list.map(({ room, message, options }) => this.publish(room, message, options));
    const settled = await Promise.allSettled(all);
    return settled.map((one) => (one.status === "fulfilled" ? one.value : toCallError(one.reason)));
  }

  async send(
    to: Selector,
    message: MessageInitShape<DescMessage>,
    options: SendOptions = {},
  ): Promise<Receipt> {
    const matches = compileSelector(to, this.#kit.scope, true);
    return this.#sent("", message, options, (prepared) => {
      const deliveries = noDeliveries();
      const seen = new Set<Entry>();
      for (const member of this.#members) {
        const { entry } = member;
        if (seen.has(entry) || !matches(entry)) continue;
        seen.add(entry);
        deliveries.members++;
        const isFor = entry !== prepared.notTo && (prepared.to?.(entry) ?? true);
        deliveries[isFor ? member.direct(prepared.message, prepared.bytes) : "filtered"]++;
      }
      return deliveries;
    });
  }

  broadcast(message: MessageInitShape<DescMessage>, options?: SendOptions): Promise<Receipt> {
    return this.send({ everybody: true }, message, options);
  }

  join(
    room: string | readonly string[],
    context: HandlerContext,
    options: JoinOptions = {},
  ): AsyncIterable<Message> {
    return this.read(typeof room === "string" ? [room] : room, context, undefined, options);
  }

  /** As `join`. @param request the request of the call; undefined where the handler joins */
  read(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): AsyncIterable<Message> {
    return {
      [Symbol.asyncIterator]: () => new JoiningReader(() => this.#join(names, context, request, options)),
    };
  }

  left(member: Member): void {
    this.#members.delete(member);
    for (const { room } of member.memberships) this.#kit.rooms.closeEmpty(room);
    this.#kit.owner.left(member);
  }

  async #join(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): Promise<Member> {
    const { rooms, limits, clock, owner } = this.#kit;
    const { ringSize = defaultRingSize, maxMembers = this.#shape.maxMembers, authorize } = this.#init;
    try {
      const call = callOf(context, this.name);
      const topic = { shape: this.#shape, maxMembers, ringSize, authorize };
      const joining = { ...call, rooms: names, request, options };
      const member = await join(topic, joining, rooms, limits, clock, this);
      this.#members.add(member);
      owner.joined(member);
      owner.asked(this.name, undefined);
      member.live();
      return member;
    } catch (reason) {
      const error = toCallError(reason);
      owner.asked(this.name, error);
      throw error;
    }
  }

  /** @throws ConnectError of what cannot be sent */
  #sent(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: SendOptions,
    deliver: (prepared: ReturnType<typeof prepare>) => Deliveries,
  ): Receipt {
    const { scope, limits, clock, owner } = this.#kit;
    const prepared = prepare(this.#shape, message, options, scope, limits.maxMessageBytes);
    const { id } = prepared;
    const duplicate = options.id !== undefined && !this.#recent.add(room, id, clock.nowMs());
    const deliveries = duplicate ? noDeliveries() : deliver(prepared);
    if (!duplicate) owner.published(this.name, deliveries);
    return { id, duplicate, ...deliveries, unreachable: [] };
  }
}

/** Reads a member that the first `next()` makes. */
class JoiningReader implements AsyncIterator<Message, undefined, undefined> {
  readonly #join: () => Promise<Member>;
  #joining: Promise<Member> | undefined;
  #member: Member | undefined;

  constructor(join: () => Promise<Member>) {
    this.#join = join;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#member !== undefined) return this.#member.next();
    this.#joining ??= this.#join();
    return this.#joining.then((member) => (this.#member = member).next());
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    if (this.#joining !== undefined)
      void this.#joining.then(
        (member) => member.return(),
        () => {},
      ); // Refused: in no room.
    return { done: true, value: undefined };
  }
}

/** The function that serves an rpc that is a topic. */
export function serveTopic(topic: HubTopic, roomsOf: RoomsOf) {
  return (request: Message, context: HandlerContext): AsyncIterable<Message> =>
    topic.read(roomsOf(request), context, request, {});
}

/** @throws Error for the call of a server without a hub: a fault of the program */
function callOf(
  context: HandlerContext,
  topic: string,
): { readonly entry: Entry; readonly context: CallContext } {
  const entry = context instanceof CallContext ? context.connection : undefined;
  if (context instanceof CallContext && entry instanceof Entry) return { entry, context };
  throw new Error(`the topic ${topic}: the server of this call has no hub, give it the option hub`);
}
