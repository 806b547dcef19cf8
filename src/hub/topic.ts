import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { CallContext } from "../core/call/context.ts";
import { LiveSet } from "../core/call/live-set.ts";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { retryAfterMsOf, retryInfo } from "../core/errors/retry-info.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus, PublicationForm } from "./bus/bus.ts";
import { retryMs } from "./connections/close.ts";
import { Entry } from "./connections/entry.ts";
import { authorizeRooms } from "./authorize.ts";
import { Patience } from "./patience.ts";
import type { Matches } from "./connections/selectable.ts";
import type { Selector, SelectorScope } from "./connections/selector.ts";
import type { PresenceEvent } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import type { PresenceBounds } from "./presence/presence-bounds.ts";
import type { PresenceCounts } from "./presence/presence-counts.ts";
import type { PresenceSnapshot } from "./presence/presence-events.ts";
import { TopicPresence, type TopicPresenceInit } from "./presence/topic-presence.ts";
import { join, joinAlso, type JoinedTopic, type JoinLimits } from "./join.ts";
import { JoiningReader, tellBeginning } from "./joining-reader.ts";
import { type Elsewhere, Publisher, type PublisherOwner, type PublishLimits } from "./publisher.ts";
import type { Member, MemberOwner } from "./room/member.ts";
import { type Beginning, Membership } from "./room/membership.ts";
import type { RoomMember } from "./services/administered-hub.ts";
import type { Deliveries, Publication } from "./room/publication.ts";
import type { RoomReset } from "./room/resets.ts";
import { pathOf } from "./room/room.ts";
import { checkRoom } from "./room/room-key.ts";
import type { Rooms } from "./rooms.ts";
import { TopicHistory } from "./topic-history.ts";
import { messagesOf, presenceMessageOf } from "./topic-messages.ts";
import type {
  HistoryOptions,
  HistoryPage,
  JoinOptions,
  PublishOptions,
  Receipt,
  RoomPublication,
  SendOptions,
  TopicInit,
} from "./topic-options.ts";
import { settingsOf, type TopicSettingsInit } from "./topic-settings.ts";
import { checkPositions, type RoomsOf, type TopicShape } from "./topic-shape.ts";

/** What the topics of a hub have in common. */
export interface TopicKit {
  readonly rooms: Rooms;
  readonly bus: Bus;
  readonly scope: SelectorScope;
  readonly limits: JoinLimits & PublishLimits;
  /** What the hub's options say of a topic, over contract and code. */
  readonly settingsOf: (topic: string) => TopicSettingsInit;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
  readonly owner: TopicOwner;
  readonly presence: PresenceCounts;
  /** The connection of an id in this process; undefined for none. */
  readonly connection: (id: string) => Entry | undefined;
  readonly form: PublicationForm;
  readonly elsewhere: Elsewhere;
}

/** Is told what topics do. */
export interface TopicOwner extends PublisherOwner {
  joined(membership: Membership): void;
  left(membership: Membership): void;
  /** What a member may has been decided again. */
  granted(membership: Membership): void;
  /** @param error undefined for a join that has succeeded */
  asked(topic: string, error: ConnectError | undefined): void;
  /** A member of a topic with history has begun. */
  resumed(topic: string, result: Beginning["result"]): void;
  reset(member: Member, reset: RoomReset): void;
}

/** A topic of a hub. Messages are of its schema, which the functions that make one give its type. */
export class HubTopic implements MemberOwner {
  readonly name: string;
  /** What its contract says. */
  readonly shape: TopicShape;
  readonly #kit: TopicKit;
  readonly #joined: JoinedTopic;
  readonly #history: TopicHistory;
  readonly #publisher: Publisher;
  /** Undefined where it is not told who is in a room. */
  readonly #presence: TopicPresence | undefined;
  readonly #members = new LiveSet<Member>();

  /** @throws SetupError naming owner and field. @param owner the rpc or the name of the topic */
  constructor(shape: TopicShape, init: TopicInit, kit: TopicKit, owner: string) {
    this.name = shape.name;
    this.shape = shape;
    this.#kit = kit;
    const settings = settingsOf(owner, [shape.stated, init, kit.settingsOf(shape.name)]);
    const hasHistory = settings.history !== undefined;
    if (hasHistory) checkPositions(shape);
    if (settings.history !== undefined)
      kit.bus.keep?.(shape.name, { ...settings, history: settings.history });
    const { maxMembers, initial } = settings;
    const kind = { topic: shape.name, hasHistory, ...settings, ...messagesOf(shape, init.snapshot) };
    this.#presence = settings.presence && new TopicPresence(this.#presenceInit(settings.presence));
    const packInfo = this.#presence?.packInfo;
    this.#joined = { shape, kind, maxMembers, initial, authorize: init.authorize, packInfo };
    this.#history = new TopicHistory(shape, kind, kit);
    this.#publisher = new Publisher(shape, settings, this.#members, kit);
  }

  /** Calls that are members. */
  get members(): number {
    return this.#members.size;
  }

  publish(room: string, message: MessageInitShape<DescMessage>, options?: PublishOptions): Promise<Receipt> {
    return this.#publisher.publish(room, message, options);
  }

  publishAll(
    list: readonly RoomPublication<MessageInitShape<DescMessage>>[],
  ): Promise<(Receipt | ConnectError)[]> {
    return this.#publisher.publishAll(list);
  }

  send(to: Selector, message: MessageInitShape<DescMessage>, options?: SendOptions): Promise<Receipt> {
    return this.#publisher.send(to, message, options);
  }

  /** Gives a message of another node to the calls here that a selector selects. */
  sendHere(matches: Matches, publication: Publication): Deliveries {
    return this.#publisher.sendHere(matches, publication);
  }

  broadcast(message: MessageInitShape<DescMessage>, options?: SendOptions): Promise<Receipt> {
    return this.#publisher.send({ everybody: true }, message, options);
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

  position(room: string): Promise<string> {
    return this.#history.position(room);
  }

  mark(context: HandlerContext, room: string): Promise<void> {
    return this.#history.mark(context, room);
  }

  history(room: string, options: HistoryOptions = {}): Promise<HistoryPage<Message>> {
    return this.#history.read(room, options);
  }

  clear(room: string): Promise<void> {
    return this.#history.clear(room);
  }

  async presence(room: string): Promise<PresenceSnapshot> {
    return this.#told.snapshot(room);
  }

  async setInfo(connection: string, room: string, info: Message): Promise<void> {
    await this.#told.setInfo(connection, room, info);
  }

  /** What is told of a room, for readers that are no members; it ends with `signal`. @throws ConnectError as `presence` */
  watchPresence(room: string, signal: AbortSignal): AsyncIterableIterator<PresenceEvent> {
    return this.#told.watch(room, signal);
  }

  nowMs(): number {
    return this.#kit.clock.nowMs();
  }

  left(member: Member): void {
    this.#members.delete(member);
    member.entry.leftBy(member);
    for (const membership of member.memberships) this.leftRoom(membership);
  }

  leftRoom(membership: Membership): void {
    this.#presence?.left(membership);
    this.#kit.rooms.release(membership.room);
    this.#kit.owner.left(membership);
  }

  /** The type of its messages. */
  get schema(): DescMessage {
    return this.shape.schema;
  }

  /** The calls in a room of this process. */
  membersOf(room: string): readonly RoomMember[] {
    const places = this.#kit.rooms.find(pathOf(this.name, room))?.places ?? [];
    const memberships = [...places].filter((place) => place instanceof Membership);
    return memberships.map(({ member: { id: connection, user } }) => ({ connection, user }));
  }

  /** @throws ConnectError INVALID_ARGUMENT for a text that is no name of a room of this topic */
  checkRoom(room: string): void {
    checkRoom(room, "room", this.shape.isNamed);
  }

  /** A call that is a member joins a further room of the topic, by the same checks. @throws ConnectError */
  async addRoom(member: Member, room: string): Promise<void> {
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

  #presenceInit(bounds: PresenceBounds): TopicPresenceInit {
    const { clock, wallMs, scope, owner, presence, connection } = this.#kit;
    const { name: topic, schema, isNamed } = this.shape;
    const messageOf = presenceMessageOf(this.shape, (form) => owner.encoded(form));
    const counts = presence;
    const { node } = scope;
    return { topic, schema, isNamed, bounds, clock, wallMs, node, messageOf, counts, connection };
  }

  /** @throws ConnectError FAILED_PRECONDITION for a topic without presence */
  get #told(): TopicPresence {
    if (this.#presence !== undefined) return this.#presence;
    throw new ConnectError(`the topic ${this.name} has no presence`, Code.FailedPrecondition);
  }

  #entered(membership: Membership): void {
    this.#presence?.joined(membership);
    this.#kit.owner.joined(membership);
  }

  async #join(
    names: readonly string[],
    context: HandlerContext,
    request: Message | undefined,
    options: JoinOptions,
  ): Promise<Member> {
    return this.#asked(async () => {
      const { owner } = this.#kit;
      const call = callOf(context, this.name);
      const joining = { ...call, rooms: names, request, options };
      const joined = await join(this.#joined, joining, this.#kit, this);
      const { member, result, resets } = joined;
      this.#members.add(member);
      member.entry.joined(member);
      for (const membership of member.memberships) this.#entered(membership);
      if (result !== undefined) owner.resumed(this.name, result);
      for (const reset of resets) owner.reset(member, reset);
      member.live();
      tellBeginning(call.context, joined);
      return member;
    });
  }

  /** Counts how a join has ended. */
  async #asked<T>(work: () => Promise<T>): Promise<T> {
    const { owner, random } = this.#kit;
    try {
      const done = await work();
      owner.asked(this.name, undefined);
      return done;
    } catch (reason) {
      const error = toCallError(reason);
      if (error.code === Code.Unavailable && retryAfterMsOf(error) === undefined) {
        error.details.push(retryInfo(retryMs(random)));
      }
      owner.asked(this.name, error);
      throw error;
    }
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
