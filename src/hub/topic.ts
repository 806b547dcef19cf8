import {
  type DescMessage,
  type DescMethodServerStreaming,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { ResetSchema } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { CallContext } from "../core/call/context.ts";
import { LiveSet } from "../core/call/live-set.ts";
import { Code, ConnectError, invalidArgument, toCallError } from "../core/errors/errors.ts";
import { retryAfterMsOf, retryInfo } from "../core/errors/retry-info.ts";
import { positionHeader, resetHeader, resumeHeader } from "../core/metadata/stream-position.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus, BusPublication, BusReceipt } from "./bus/bus.ts";
import { RecentIds } from "./bus/recent-ids.ts";
import { retryMs } from "./connections/close.ts";
import { Entry } from "./connections/entry.ts";
import { authorizeRooms } from "./authorize.ts";
import { Patience } from "./patience.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import { join, joinAlso, type JoinedTopic, type JoinLimits } from "./join.ts";
import { prepare } from "./publishing.ts";
import type { Member, MemberOwner } from "./room/member.ts";
import { type Beginning, Membership } from "./room/membership.ts";
import type { RoomMember } from "./services/administered-hub.ts";
import { formatPosition, parsePosition, type Position } from "./room/position.ts";
import { type Deliveries, noDeliveries, type Publication } from "./room/publication.ts";
import type { RoomReset } from "./room/resets.ts";
import { pathOf } from "./room/room.ts";
import { checkRoom } from "./room/room-key.ts";
import type { Rooms } from "./rooms.ts";
import { messagesOf, resetOf } from "./topic-messages.ts";
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
import { settingsOf, type TopicSettings, type TopicSettingsInit } from "./topic-settings.ts";
import { checkPositions, type RoomsOf, type TopicShape } from "./topic-shape.ts";

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

/** A topic that is an rpc: its handler is `serve`. */
export interface RpcTopic<M extends DescMethodServerStreaming> extends Topic<M["output"]> {
  readonly serve: MethodImpl<M>;
}

/** The limits of publications. */
export interface PublishLimits {
  /** The largest message that is published, in bytes of protobuf. Default: 256 KiB. */
  readonly maxMessageBytes: number;
  /** How long the bus may take for a publication, in milliseconds. Default: 2,000. */
  readonly publishTimeoutMs: number;
}

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
}

/** Is told what topics do. */
export interface TopicOwner {
  joined(membership: Membership): void;
  left(membership: Membership): void;
  /** What a member may has been decided again. */
  granted(membership: Membership): void;
  published(topic: string, deliveries: Deliveries): void;
  /** @param error undefined for a join that has succeeded */
  asked(topic: string, error: ConnectError | undefined): void;
  /** A member of a topic with history has begun. */
  resumed(topic: string, result: Beginning["result"]): void;
  reset(member: Member, reset: RoomReset): void;
}

/** A topic of a hub. Messages are of its schema, which the functions that make one give its type. */
export class HubTopic implements MemberOwner {
  readonly name: string;
  readonly #shape: TopicShape;
  readonly #kit: TopicKit;
  readonly #settings: TopicSettings;
  readonly #joined: JoinedTopic;
  readonly #members = new LiveSet<Member>();
  /** Ids of publications that are not kept. */
  readonly #recent = new RecentIds<true>();

  /** @throws SetupError naming owner and field. @param owner the rpc or the name of the topic */
  constructor(shape: TopicShape, init: TopicInit, kit: TopicKit, owner: string) {
    this.name = shape.name;
    this.#shape = shape;
    this.#kit = kit;
    const settings = settingsOf(owner, [shape.stated, init, kit.settingsOf(shape.name)]);
    this.#settings = settings;
    const hasHistory = settings.history !== undefined;
    if (hasHistory) checkPositions(shape);
    const { maxMembers, initial } = settings;
    const kind = { topic: shape.name, hasHistory, ...settings, ...messagesOf(shape, init.snapshot) };
    this.#joined = { shape, kind, maxMembers, initial, authorize: init.authorize };
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
    const publication = this.#prepare(room, message, options);
    const history = options.history === false ? undefined : this.#settings.history;
    if (history !== undefined && publication.priority === "high") {
      throw invalidArgument(
        "priority: high passes others, and what is kept has a place among them: history: false",
      );
    }
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (history === undefined && !this.#isNew(room, id, dedupeMs)) return receipt(id, undefined, true);
    let deliveries = noDeliveries();
    publication.delivered = (all) => {
      deliveries = all;
    };
    const path = pathOf(this.name, room);
    const answer = await this.#published({ room: path, publication, history, dedupeMs }, options.signal);
    if (!answer.duplicate) this.#kit.owner.published(this.name, deliveries);
    return receipt(id, answer.position, answer.duplicate, deliveries);
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
    const publication = this.#prepare("", message, options, false);
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (!this.#isNew("", id, dedupeMs)) return receipt(id, undefined, true);
    const deliveries = noDeliveries();
    const seen = new Set<Entry>();
    for (const member of this.#members) {
      const { entry } = member;
      if (seen.has(entry) || !matches(member)) continue;
      seen.add(entry);
      deliveries.members++;
      const isFor = entry !== publication.notTo && (publication.to?.(member) ?? true);
      deliveries[isFor ? member.direct(publication.message, publication.bytes) : "filtered"]++;
    }
    this.#kit.owner.published(this.name, deliveries);
    return receipt(id, undefined, false, deliveries);
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

  async position(room: string): Promise<string> {
    const path = this.#keptPath(room);
    const known = this.#kit.rooms.find(path);
    if (known?.isReady === true) return formatPosition(known.ring.top);
    const [top] = await this.#kit.bus.tops([{ room: path, seen: undefined }]);
    return top === undefined ? "" : formatPosition(top); // There is one for each room.
  }

  async mark(context: HandlerContext, room: string): Promise<void> {
    context.responseHeader.set(positionHeader, await this.position(room));
  }

  async history(room: string, { after, limit = 100 }: HistoryOptions = {}): Promise<HistoryPage<Message>> {
    const path = this.#keptPath(room);
    if (!Number.isInteger(limit) || limit < 1 || limit > mostOfHistory) {
      throw invalidArgument(`limit: a number from 1 to ${mostOfHistory} is expected`);
    }
    const from = after === undefined ? undefined : parsePosition(after);
    if (after !== undefined && from === undefined) throw invalidArgument("after: it is no position");
    const { entries, top, complete } = await this.#kit.bus.read(path, from, limit);
    const nowMs = this.nowMs();
    const messages = entries.flatMap(({ publication, position, untilMs }) => {
      if (position === undefined || (untilMs !== undefined && nowMs >= untilMs)) return [];
      this.#joined.kind.stamp(publication, position);
      const { id, message, headers } = publication;
      return [{ id, position: formatPosition(position), message, headers }];
    });
    const last = entries.at(-1)?.position ?? from ?? top;
    return { messages, position: formatPosition(last), top: formatPosition(top), complete };
  }

  async clear(room: string): Promise<void> {
    await this.#kit.bus.clear(this.#keptPath(room));
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
    this.#kit.rooms.release(membership.room);
    this.#kit.owner.left(membership);
  }

  /** The type of its messages. */
  get schema(): DescMessage {
    return this.#shape.schema;
  }

  /** The calls in a room of this process. */
  membersOf(room: string): readonly RoomMember[] {
    const places = this.#kit.rooms.find(pathOf(this.name, room))?.places ?? [];
    const memberships = [...places].filter((place) => place instanceof Membership);
    return memberships.map(({ member: { id: connection, user } }) => ({ connection, user }));
  }

  /** @throws ConnectError INVALID_ARGUMENT for a text that is no name of a room of this topic */
  checkRoom(room: string): void {
    checkRoom(room, "room", this.#shape.isNamed);
  }

  /** A call that is a member joins a further room of the topic, by the same checks. @throws ConnectError */
  async addRoom(member: Member, room: string): Promise<void> {
    const membership = await this.#asked(() => joinAlso(this.#joined, member, room, this.#kit));
    if (membership !== undefined) this.#kit.owner.joined(membership);
  }

  /** Asks `authorize` again for the rooms of a member. @throws ConnectError by which it is refused */
  async recheck(member: Member): Promise<void> {
    const { limits, clock, wallMs, owner } = this.#kit;
    const names = member.memberships.map(({ room }) => room.name);
    const patience = new Patience(member.context, clock, limits.joinTimeoutMs);
    try {
      const grants = await authorizeRooms(this.#joined.authorize, member, names, wallMs, patience);
      for (const [place, name] of names.entries()) {
        const membership = member.placeIn(name);
        if (membership === undefined) continue; // It has left the room meanwhile.
        membership.grant = grants[place] ?? {};
        owner.granted(membership);
      }
    } finally {
      patience.end();
    }
  }

  reset(member: Member, reset: RoomReset): void {
    this.#kit.owner.reset(member, reset);
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
      const { member, result, resets } = await join(this.#joined, joining, this.#kit, this);
      this.#members.add(member);
      member.entry.joined(member);
      for (const membership of member.memberships) owner.joined(membership);
      if (result !== undefined) owner.resumed(this.name, result);
      for (const reset of resets) owner.reset(member, reset);
      member.live();
      if (result !== undefined) tellBeginning(call.context, member, result, resets);
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

  /** @throws ConnectError of what cannot be sent */
  #prepare(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions,
    isForRoom = true,
  ): Publication {
    if (isForRoom) checkRoom(room, "room", this.#shape.isNamed);
    const { scope, limits } = this.#kit;
    const { maxMessageBytes } = limits;
    const hasPositions = this.#settings.history !== undefined;
    return prepare(this.#shape, message, options, { scope, maxMessageBytes, hasPositions });
  }

  /** Whether an id of a publication that is not kept is new; it is known from now on. */
  #isNew(room: string, id: string, dedupeMs: number): boolean {
    if (dedupeMs === 0) return true;
    const key = `${room}/${id}`;
    const nowMs = this.nowMs();
    if (this.#recent.find(key, nowMs) !== undefined) return false;
    this.#recent.add(key, true, nowMs, dedupeMs);
    return true;
  }

  /** Rejects when the bus is away, or does not answer in time. */
  async #published(publication: BusPublication, signal: AbortSignal | undefined): Promise<BusReceipt> {
    const { bus, clock, limits } = this.#kit;
    if (signal?.aborted === true)
      throw new ConnectError("the publisher does not want it any more", Code.Canceled);
    const ending = new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(limits.publishTimeoutMs, () => late.reject(unknownOutcome(publication)));
    const aborted = (): void => late.reject(new ConnectError("the publisher waits no longer", Code.Canceled));
    signal?.addEventListener("abort", aborted);
    try {
      return await Promise.race([bus.publish(publication, ending.signal), late.promise]);
    } catch (reason) {
      ending.abort();
      throw reason;
    } finally {
      cancel();
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** @throws ConnectError FAILED_PRECONDITION for a topic without history */
  #keptPath(room: string): string {
    checkRoom(room, "room", this.#shape.isNamed);
    if (this.#settings.history !== undefined) return pathOf(this.name, room);
    throw new ConnectError(`the topic ${this.name} has no history`, Code.FailedPrecondition);
  }
}

const mostOfHistory = 1_000;

function receipt(
  id: string,
  position: Position | undefined,
  duplicate: boolean,
  deliveries: Deliveries = noDeliveries(),
): Receipt {
  return { id, position: position && formatPosition(position), duplicate, ...deliveries, unreachable: [] };
}

/** The bus has not answered in time. */
function unknownOutcome({ publication: { id } }: BusPublication): ConnectError {
  const error = new ConnectError(
    "the bus has not answered in time: the message may be published, and may be published again with its id",
    Code.Unavailable,
  );
  const metadata = { id };
  error.details = [
    { desc: ErrorInfoSchema, value: { reason: "PUBLISH_UNKNOWN", domain: "ts-ms", metadata } },
  ];
  return error;
}

/** Tells the client of a call where it begins, before the first message. */
function tellBeginning(
  context: CallContext,
  member: Member,
  result: Beginning["result"],
  resets: readonly RoomReset[],
): void {
  const position = member.positionText() ?? "";
  context.setResponseField(positionHeader, position);
  context.setResponseField(resumeHeader, result);
  if (resets.length > 0 && member.memberships[0]?.room.kind.resetMessage === undefined) {
    const said = resets.map((reset) => toJson(ResetSchema, resetOf(reset, position)));
    context.setResponseField(resetHeader, asAscii(JSON.stringify(said)));
  }
  context.setStreamPlace(member);
  context.responseHeaderArrived();
}

/** Headers are of ASCII; JSON can be. */
function asAscii(json: string): string {
  return json.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
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
