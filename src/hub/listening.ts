import { create, isMessage, type Message } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type ListenResponse, ListenResponseSchema } from "../../gen/ts_ms/hub/v1/hub_pb.ts";
import type { CallContext } from "../core/call/context.ts";
import type { StreamPlace } from "../core/call/stream-place.ts";
import { sharedOf, shareMessage } from "../core/codec/shared-message.ts";
import { lastEventIdHeader } from "../core/metadata/stream-position.ts";
import type { Joined } from "./join.ts";
import { tellPlace } from "./joining-reader.ts";
import type { Member } from "./room/member.ts";
import type { MemberView } from "./room/member-view.ts";
import type { Membership } from "./room/membership.ts";
import { type Position, PositionVector } from "./room/position.ts";
import type { ResetMessage } from "./room/resets.ts";
import { pathOf, type Room } from "./room/room.ts";
import type { HubTopic } from "./topic.ts";
import { resetOf } from "./topic-messages.ts";
import type { JoinOptions } from "./topic-options.ts";

/** A room that is listened to. */
export interface ListenedRoom {
  readonly topic: HubTopic;
  /** Without the topic. */
  readonly name: string;
}

/**
 * Joins rooms of any topics, and gives what comes there: a member of each topic, which are read as one stream.
 *
 * @throws ConnectError by which one of the topics refuses the call, which is in no room then
 */
export async function* listen(
  rooms: readonly ListenedRoom[],
  context: CallContext,
  options: JoinOptions,
): AsyncGenerator<Message, void> {
  const listener = await Listener.join(rooms, context, options);
  try {
    for (;;) {
      const message = await listener.next();
      if (message === undefined) return;
      yield message;
    }
  } finally {
    listener.leave();
  }
}

/** The members of a call, one for each topic, and where it stands in all their rooms. */
class Listener implements StreamPlace {
  readonly #members: Member[] = [];
  /** Members that are asked for their next message, or have one in the queue. */
  readonly #asked = new Set<Member>();
  /** Messages in the order in which members were moved on by them, so that no position says more than was sent. */
  readonly #queue: { readonly member: Member; readonly message: Message }[] = [];
  /** Paths of the rooms whose publications have positions, in the order of the vector. */
  readonly #kept: readonly string[];
  readonly #vector: PositionVector | undefined;
  /** The position that the client has, with what is on its way to it. */
  #told: string | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #failure: { readonly reason: unknown } | undefined;

  private constructor(rooms: readonly ListenedRoom[]) {
    this.#kept = rooms.flatMap(({ topic, name }) => (topic.hasHistory ? pathOf(topic.name, name) : []));
    this.#vector = this.#kept.length === 0 ? undefined : new PositionVector(this.#kept);
  }

  static async join(
    rooms: readonly ListenedRoom[],
    context: CallContext,
    options: JoinOptions,
  ): Promise<Listener> {
    const listener = new Listener(rooms);
    const joined = await listener.#join(rooms, context, options);
    const resets = joined.flatMap((one) => one.resets);
    const results = new Set(joined.map(({ result }) => result));
    const result = results.has("reset") ? "reset" : results.has("recovered") ? "recovered" : "fresh";
    listener.#told = listener.#now();
    if (listener.#vector === undefined) context.responseHeaderArrived();
    else tellPlace(context, listener, { result, resets, saysResets: true });
    return listener;
  }

  positionText(): string | undefined {
    return this.#told;
  }

  settledText(): string | undefined {
    if (this.#waiting === undefined || this.#queue.length > 0) return undefined;
    if (!this.#members.every(({ isWaiting, isOver }) => isWaiting || isOver)) return undefined;
    return (this.#told = this.#now());
  }

  /** Undefined when all its members have left. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const first = this.#queue.shift();
      if (first !== undefined) {
        this.#asked.delete(first.member);
        if (isMessage(first.message, ListenResponseSchema) && first.message.id !== "") {
          this.#told = first.message.id;
        }
        return first.message;
      }
      if (this.#failure !== undefined) throw this.#failure.reason;
      for (const member of this.#members) if (!this.#asked.has(member)) this.#ask(member);
      if (this.#members.length === 0) return undefined;
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
      this.#waiting = undefined;
    }
  }

  leave(): void {
    for (const member of [...this.#members]) void member.return();
  }

  /** @throws ConnectError of the first topic that refuses the call */
  async #join(
    rooms: readonly ListenedRoom[],
    context: CallContext,
    options: JoinOptions,
  ): Promise<readonly Joined[]> {
    const asked = this.#positionsOf(context);
    const joins = [...Map.groupBy(rooms, ({ topic }) => topic)].map(async ([topic, ofTopic]) => {
      const names = ofTopic.map(({ name }) => name);
      const own =
        asked === undefined || asked === "unknown"
          ? asked
          : names.map((name) => asked.get(pathOf(topic.name, name)));
      const view = new TopicView(topic, () => this.#now(), this.#kept.length > 1);
      const joined = await topic.members.joinAs(names, context, options, { view, asked: own });
      this.#members.push(joined.member);
      return joined;
    });
    const settled = await Promise.allSettled(joins);
    const refused = settled.find(({ status }) => status === "rejected");
    if (refused?.status === "rejected") {
      this.leave();
      throw refused.reason;
    }
    return settled.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  }

  /** The positions that the client has, by the paths of rooms; undefined for none. */
  #positionsOf(context: CallContext): ReadonlyMap<string, Position> | "unknown" | undefined {
    const text = context.requestField(lastEventIdHeader) ?? "";
    if (text === "" || this.#vector === undefined) return undefined;
    const positions = this.#vector.parse(text);
    if (positions === undefined) return "unknown";
    return new Map(positions.map((position, place) => [this.#kept[place] ?? "", position]));
  }

  /** Where its members stand. */
  #now(): string | undefined {
    if (this.#vector === undefined) return undefined;
    const places = new Map<string, Position>();
    for (const { memberships } of this.#members)
      for (const { room, position } of memberships) places.set(room.path, position);
    return this.#vector.format(this.#kept.map((path) => places.get(path) ?? nowhere));
  }

  #ask(member: Member): void {
    this.#asked.add(member);
    member.next().then(
      ({ done, value }) => {
        if (done === true) this.#members.splice(this.#members.indexOf(member), 1);
        else this.#queue.push({ member, message: value });
        this.#waiting?.resolve();
      },
      (reason: unknown) => {
        this.#failure ??= { reason };
        this.#waiting?.resolve();
      },
    );
  }
}

/** Of a room that was left. */
const nowhere: Position = Object.freeze({ epoch: "00000000", offset: 0 });

/** How listeners see the messages of a topic. */
class TopicView implements MemberView {
  readonly #topic: HubTopic;
  readonly #now: () => string | undefined;
  /** Whether the id of a message says where the call stands in several rooms. */
  readonly #hasSeveral: boolean;

  constructor(topic: HubTopic, now: () => string | undefined, hasSeveral: boolean) {
    this.#topic = topic;
    this.#now = now;
    this.#hasSeveral = hasSeveral;
  }

  positionText(): string | undefined {
    return this.#now();
  }

  seen(message: Message, place: Membership | undefined): Message {
    if (isMessage(message, ListenResponseSchema)) {
      // It says that some are missing: where the call stands is known now.
      if (this.#hasSeveral) message.id = this.#now() ?? "";
      return message;
    }
    const event = listened(message, this.#topic, place?.room.name ?? "");
    if (!this.#hasSeveral || event.id === "") return event;
    const copy = create(ListenResponseSchema, { ...event, id: this.#now() ?? "" });
    shareMessage(copy, { event: sharedOf(message)?.event, headers: event.headers });
    return copy;
  }

  resetMessage({ topic, name: room }: Room): ResetMessage {
    return (reset, position) => {
      const event = { case: "reset", value: resetOf(reset, position) } as const;
      return create(ListenResponseSchema, { id: position ?? "", topic, room, event });
    };
  }
}

/** A message of a topic as listeners see it, made once for all of them. */
export function listened(
  message: Message,
  topic: Pick<HubTopic, "name" | "schema">,
  room: string,
): ListenResponse {
  const known = sharedOf(message);
  const before = known?.formBy(listened);
  if (before !== undefined) return before as ListenResponse; // As it was kept below.
  const { position = "", headers = {}, event: name, made } = known ?? {};
  const value = anyPack(topic.schema, message);
  const event = create(ListenResponseSchema, {
    ...{ id: position, topic: topic.name, room },
    headers: { ...headers },
    event: { case: "message", value },
  });
  if (known === undefined) return event;
  shareMessage(event, { event: name, headers, made });
  known.keepForm(listened, event);
  return event;
}
