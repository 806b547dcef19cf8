import type { Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { CallContext } from "../core/call/context.ts";
import { LiveSet } from "../core/call/live-set.ts";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { retryAfterMsOf, retryInfo } from "../core/errors/retry-info.ts";
import { subscriberHeader } from "../core/metadata/stream-position.ts";
import { AcknowledgedReader } from "./acknowledged-reader.ts";
import { type Asking, authorizeRooms } from "./authorize.ts";
import { retryMs } from "./connections/close.ts";
import { Entry } from "./connections/entry.ts";
import { join, joinAlso, type Joined, type JoinedBy, type JoinedTopic } from "./join.ts";
import { JoiningReader, tellBeginning, tellPlace } from "./joining-reader.ts";
import { Patience } from "./patience.ts";
import type { TopicPresence } from "./presence/topic-presence.ts";
import type { Member, MemberOwner } from "./room/member.ts";
import { Membership } from "./room/membership.ts";
import type { RoomReset } from "./room/resets.ts";
import { pathOf } from "./room/room.ts";
import type { RoomMember } from "./services/administered-hub.ts";
import type { Subscriber, Subscribers } from "./subscribers.ts";
import type { TopicKit } from "./topic-kit.ts";
import type { JoinOptions } from "./topic-options.ts";

/** What the members of a topic need of it. */
export interface TopicMembersInit {
  readonly joined: JoinedTopic;
  /** Undefined where it is not told who is in a room. */
  readonly presence: TopicPresence | undefined;
  /** Undefined where nothing is acknowledged. */
  readonly subscribers: Subscribers | undefined;
}

/** The calls that read a topic: how they join its rooms, what they may there, and that they leave. */
export class TopicMembers implements MemberOwner {
  readonly all = new LiveSet<Member>();
  readonly #name: string;
  readonly #joined: JoinedTopic;
  readonly #presence: TopicPresence | undefined;
  readonly #subscribers: Subscribers | undefined;
  readonly #kit: TopicKit;

  constructor({ joined, presence, subscribers }: TopicMembersInit, kit: TopicKit) {
    this.#name = joined.shape.name;
    this.#joined = joined;
    this.#presence = presence;
    this.#subscribers = subscribers;
    this.#kit = kit;
  }

  /** What is published in rooms, for a call that joins them. @param request of the call; undefined where its handler joins */
  read(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): AsyncIterable<Message> {
    const subscribers = this.#subscribers;
    if (subscribers !== undefined && context instanceof CallContext) {
      const name = context.requestField(subscriberHeader);
      if (name !== undefined) return this.#subscribe(subscribers, name, names, context, request, options);
    }
    return {
      [Symbol.asyncIterator]: () => new JoiningReader(() => this.#join(names, context, request, options)),
    };
  }

  /**
   * As `read`, for a call whose own messages say what it joins.
   *
   * @param begin asks for the rooms, and the request that names them
   * @param joined is told of the member
   */
  readTalk(
    context: HandlerContext,
    begin: () => Promise<{ readonly names: readonly string[]; readonly request: Message }>,
    joined: (member: Member) => void,
  ): AsyncIterable<Message> {
    const join = async (): Promise<Joined> => {
      const isNamed = context instanceof CallContext && context.requestField(subscriberHeader) !== undefined;
      if (this.#subscribers !== undefined && isNamed) {
        throw new ConnectError(`${this.#name}: only server streams acknowledge`, Code.FailedPrecondition);
      }
      const { names, request } = await begin();
      const done = await this.#join(names, context, request, {});
      joined(done.member);
      return done;
    };
    return { [Symbol.asyncIterator]: () => new JoiningReader(join) };
  }

  /**
   * A call that reads further topics too joins rooms of this one; its caller reads the member.
   *
   * @throws ConnectError by which it is refused
   */
  joinAs(
    names: readonly string[],
    context: CallContext,
    options: JoinOptions,
    seen: JoinedBy,
  ): Promise<Joined> {
    return this.#asked(() => this.#enter(names, context, undefined, options, seen));
  }

  /**
   * Everything of a room up to a position is acknowledged, by another way than the call that gets it.
   *
   * @throws ConnectError FAILED_PRECONDITION for a topic without acknowledgements, or what was not sent; INVALID_ARGUMENT
   *   for what is no position of the room
   */
  async ack(subscriber: Subscriber, position: string): Promise<void> {
    if (this.#subscribers === undefined) {
      throw new ConnectError(`the topic ${this.#name} acknowledges nothing`, Code.FailedPrecondition);
    }
    await this.#subscribers.ack(subscriber, position);
  }

  /** Asks whether a call may read a room, of which it becomes no member. @throws ConnectError by which it is refused */
  async judge(asking: Asking, room: string): Promise<void> {
    const { limits, clock, wallMs } = this.#kit;
    const patience = new Patience(asking.context, clock, limits.joinTimeoutMs);
    try {
      await authorizeRooms(this.#joined, asking, [room], wallMs, patience);
    } finally {
      patience.end();
    }
  }

  /** A call that is a member joins a further room of the topic, by the same checks. @throws ConnectError */
  async add(member: Member, room: string): Promise<void> {
    const membership = await this.#asked(() => joinAlso(this.#joined, member, room, this.#kit));
    if (membership !== undefined) this.#entered(membership);
  }

  /** Asks `authorize` again for the rooms of a member. @throws ConnectError by which it is refused */
  async recheck(member: Member): Promise<void> {
    const { limits, clock, wallMs, owner } = this.#kit;
    const names = member.memberships.map(({ room }) => room.name);
    const patience = new Patience(member.context, clock, limits.joinTimeoutMs);
    try {
      const grants = await authorizeRooms(this.#joined, member, names, wallMs, patience);
      for (const [place, name] of names.entries()) {
        const membership = member.placeIn(name);
        if (membership === undefined) continue; // It has left the room meanwhile.
        membership.grant = grants[place] ?? {};
        this.#presence?.granted(membership);
        owner.granted(membership);
      }
    } finally {
      patience.end();
    }
  }

  reset(member: Member, reset: RoomReset): void {
    this.#kit.owner.reset(member, reset);
  }

  /** The calls in a room of this process. */
  of(room: string): readonly RoomMember[] {
    const places = this.#kit.rooms.find(pathOf(this.#name, room))?.places ?? [];
    const memberships = [...places].filter((place) => place instanceof Membership);
    return memberships.map(({ member: { id: connection, user } }) => ({ connection, user }));
  }

  nowMs(): number {
    return this.#kit.clock.nowMs();
  }

  began(membership: Membership): void {
    this.#kit.owner.replayed(this.#name, membership.unread);
  }

  left(member: Member): void {
    this.all.delete(member);
    member.entry.leftBy(member);
    for (const membership of member.memberships) this.leftRoom(membership);
  }

  leftRoom(membership: Membership): void {
    this.#presence?.left(membership);
    this.#kit.rooms.release(membership.room);
    this.#kit.owner.left(membership);
  }

  #entered(membership: Membership): void {
    this.#presence?.joined(membership);
    this.#kit.owner.joined(membership);
  }

  #join(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): Promise<Joined> {
    return this.#asked(() => this.#enter(names, context, request, options, undefined));
  }

  /** As `read`, for a client that acknowledges what it gets by a name. */
  async *#subscribe(
    subscribers: Subscribers,
    name: string,
    names: readonly string[],
    handler: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): AsyncGenerator<Message, void> {
    const { entry, context } = callOf(handler, this.#name);
    const rooms = [...new Set(names)];
    const { schema, headersField, resetField } = this.#joined.shape;
    const { reader, joined } = await this.#asked(() =>
      AcknowledgedReader.join({
        ...{ subscribers, context, name, rooms, schema, headersField },
        user: entry.identityOf(context).user,
        join: (seen) => this.#enter(rooms, context, request, options, seen),
      }),
    );
    const { result = "fresh", resets } = joined;
    tellPlace(context, reader, { result, resets, saysResets: resetField !== undefined });
    try {
      for (;;) {
        const { done, value } = await reader.next();
        if (done === true) return;
        yield value;
      }
    } finally {
      await reader.return();
    }
  }

  async #enter(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
    seen: JoinedBy | undefined,
  ): Promise<Joined> {
    const { owner } = this.#kit;
    const joining = { ...callOf(context, this.#name), rooms: names, request, options, seen };
    const joined = await join(this.#joined, joining, this.#kit, this);
    const { member, result, resets } = joined;
    this.all.add(member);
    member.entry.joined(member);
    for (const membership of member.memberships) {
      this.#entered(membership);
    }
    if (result !== undefined) owner.resumed(this.#name, result);
    for (const reset of resets) owner.reset(member, reset);
    member.live();
    if (seen === undefined) tellBeginning(member.context, joined);
    return joined;
  }

  /** Counts how a join has ended. */
  async #asked<T>(work: () => Promise<T>): Promise<T> {
    const { owner, random } = this.#kit;
    try {
      const done = await work();
      owner.asked(this.#name, undefined);
      return done;
    } catch (reason) {
      const error = toCallError(reason);
      if (error.code === Code.Unavailable && retryAfterMsOf(error) === undefined) {
        error.details.push(retryInfo(retryMs(random)));
      }
      owner.asked(this.#name, error);
      throw error;
    }
  }
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
