import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { PresenceEvent } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Matches } from "./connections/selectable.ts";
import type { Selector } from "./connections/selector.ts";
import type { PresenceBounds } from "./presence/presence-bounds.ts";
import type { PresenceSnapshot } from "./presence/presence-events.ts";
import { TopicPresence, type TopicPresenceInit } from "./presence/topic-presence.ts";
import { Publisher } from "./publisher.ts";
import type { Deliveries, Publication } from "./room/publication.ts";
import { checkRoom } from "./room/room-key.ts";
import type { RoomMember } from "./services/administered-hub.ts";
import { Subscribers } from "./subscribers.ts";
import { TopicHistory } from "./topic-history.ts";
import type { TopicKit } from "./topic-kit.ts";
import { TopicMembers } from "./topic-members.ts";
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
import { settingsOf } from "./topic-settings.ts";
import { checkPositions, type RoomsOf, type TopicShape } from "./topic-shape.ts";

/** A topic of a hub. Messages are of its schema, which the functions that make one give its type. */
export class HubTopic {
  readonly name: string;
  /** What its contract says. */
  readonly shape: TopicShape;
  /** Whether its publications have positions. */
  readonly hasHistory: boolean;
  readonly #kit: TopicKit;
  readonly #history: TopicHistory;
  readonly #publisher: Publisher;
  /** Undefined where it is not told who is in a room. */
  readonly #presence: TopicPresence | undefined;
  /** The calls that read it. */
  readonly members: TopicMembers;

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
    const { maxMembers, initial, acknowledged: bounds } = settings;
    const subscribers =
      bounds &&
      new Subscribers({
        ...{ topic: shape.name, bounds, bus: kit.bus, clock: kit.clock, node: kit.scope.node },
        counted: (result) => kit.owner.acknowledged(shape.name, result),
      });
    const kind = { topic: shape.name, hasHistory, ...settings, ...messagesOf(shape, init.snapshot) };
    this.#presence = settings.presence && new TopicPresence(this.#presenceInit(settings.presence));
    const packInfo = this.#presence?.packInfo;
    const joined = { shape, kind, maxMembers, initial, authorize: init.authorize, packInfo };
    this.members = new TopicMembers({ joined, presence: this.#presence, subscribers }, kit);
    this.hasHistory = hasHistory;
    this.#history = new TopicHistory(shape, kind, kit);
    this.#publisher = new Publisher(shape, settings, this.members.all, kit);
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
    return this.members.read(typeof room === "string" ? [room] : room, context, undefined, options);
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

  /** The calls in a room of this process. */
  membersOf(room: string): readonly RoomMember[] {
    return this.members.of(room);
  }

  /** The type of its messages. */
  get schema(): DescMessage {
    return this.shape.schema;
  }

  /** @param field where it comes from. @throws ConnectError INVALID_ARGUMENT for a text that is no name of a room of this topic */
  checkRoom(room: string, field = "room"): void {
    checkRoom(room, field, this.shape.isNamed);
  }

  #presenceInit(bounds: PresenceBounds): TopicPresenceInit {
    const { clock, wallMs, scope, owner, presence: shared, connection } = this.#kit;
    const { name: topic, schema, isNamed } = this.shape;
    const messageOf = presenceMessageOf(this.shape, (form) => owner.encoded(form));
    const { node } = scope;
    return { topic, schema, isNamed, bounds, clock, wallMs, node, messageOf, shared, connection };
  }

  /** @throws ConnectError FAILED_PRECONDITION for a topic without presence */
  get #told(): TopicPresence {
    if (this.#presence !== undefined) return this.#presence;
    throw new ConnectError(`the topic ${this.name} has no presence`, Code.FailedPrecondition);
  }
}

/** The function that serves an rpc that is a topic. */
export function serveTopic(topic: HubTopic, roomsOf: RoomsOf) {
  return (request: Message, context: HandlerContext): AsyncIterable<Message> =>
    topic.members.read(roomsOf(request), context, request, {});
}
