import { clone, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { CallContext } from "../core/call/context.ts";
import type { StreamPlace } from "../core/call/stream-place.ts";
import { setField } from "../core/codec/field-shape.ts";
import { sharedOf, shareMessage } from "../core/codec/shared-message.ts";
import { lastEventIdHeader } from "../core/metadata/stream-position.ts";
import type { Joined, JoinedBy } from "./join.ts";
import type { Member } from "./room/member.ts";
import type { MemberView } from "./room/member-view.ts";
import type { Membership } from "./room/membership.ts";
import { parsePosition, type Position, PositionVector } from "./room/position.ts";
import { noPosition, notSent, replacedError, type SubscribedCall, type Subscribers } from "./subscribers.ts";

/** A call that reads as a subscriber. */
export interface SubscriberInit {
  readonly subscribers: Subscribers;
  readonly context: CallContext;
  /** Whose the name is; undefined for an anonymous client. */
  readonly user: string | undefined;
  readonly name: string;
  /** Each once. */
  readonly rooms: readonly string[];
  readonly schema: DescMessage;
  /** The field of messages that gets headers; undefined for none. */
  readonly headersField: DescField | undefined;
  /** Joins the rooms. @throws ConnectError by which the call is refused */
  readonly join: (seen: JoinedBy) => Promise<Joined>;
}

/** A message that was sent and is not acknowledged. */
interface Sent {
  readonly room: string;
  readonly position: Position;
  readonly message: Message;
  /** When it was sent last; undefined while it waits to be sent again. */
  sentAtMs: number | undefined;
}

/** What was sent of a room. */
interface RoomState {
  readonly key: string;
  /** Up to here everything was sent. */
  sent: Position;
  /** What the room was called before it began anew. */
  readonly oldEpochs: Set<string>;
}

const redeliveredHeader = "ts-ms-redelivered";

/**
 * Reads rooms as a subscriber: it begins behind what that has acknowledged, sends again what is not acknowledged in time,
 * and waits where too much is not.
 */
export class AcknowledgedReader
  implements AsyncIterator<Message, undefined, undefined>, StreamPlace, MemberView, SubscribedCall
{
  readonly #init: SubscriberInit;
  readonly #vector: PositionVector;
  readonly #rooms = new Map<string, RoomState>();
  readonly #keys: readonly string[];
  #member: Member | undefined;
  #owner: Position | undefined;
  /** Those that are not acknowledged, in the order in which they were sent first. */
  #unacked: Sent[] = [];
  /** The room and the message by which the member has just moved on. */
  #moved: Pick<Sent, "room" | "position" | "message"> | undefined;
  #isAsked = false;
  /** What the member has given, and is not read yet. */
  #next: { readonly sent: Sent | undefined; readonly reply: Message | undefined } | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;
  #told: string | undefined;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;

  private constructor(init: SubscriberInit) {
    this.#init = init;
    this.#vector = new PositionVector(init.rooms);
    const { subscribers, user, name } = init;
    this.#keys = init.rooms.map((room) => subscribers.keyOf({ room, user, name }));
  }

  /** @throws ConnectError by which the call is refused */
  static async join(init: SubscriberInit): Promise<{ reader: AcknowledgedReader; joined: Joined }> {
    const reader = new AcknowledgedReader(init);
    return { reader, joined: await reader.#join() };
  }

  positionText(): string | undefined {
    return this.#told ?? this.#now();
  }

  settledText(): string | undefined {
    const isIdle = this.#wake !== undefined && this.#next === undefined && this.#member?.isWaiting === true;
    if (isIdle) this.#moveOn();
    return isIdle ? this.#told : undefined;
  }

  seen(message: Message, place: Membership | undefined): Message {
    const position = parsePosition(sharedOf(message)?.position ?? "");
    if (place === undefined || position === undefined) return message;
    this.#moved = { room: place.room.name, position, message };
    return this.#init.rooms.length === 1 ? message : place.room.kind.restamp(message, this.#now() ?? "");
  }

  ack(text: string): void {
    const { subscribers, rooms } = this.#init;
    try {
      const positions = this.#vector.parse(text);
      if (positions === undefined) throw noPosition();
      const each = rooms.map((room, place) => [room, positions[place]] as const);
      for (const [room, position] of each) if (position !== undefined) this.#check(room, position);
      for (const [room, position] of each) {
        if (position === undefined || !this.#drop(room, position)) continue;
        const { key } = this.#rooms.get(room) ?? {};
        // A bus that is away has not heard of it: it is sent again to the next call of the subscriber.
        if (key !== undefined) subscribers.move(key, position).catch(() => {});
      }
      subscribers.counted("acknowledged");
    } catch (reason) {
      subscribers.counted("refused");
      throw reason;
    }
  }

  ackRoom(room: string, position: Position): void {
    this.#check(room, position);
    this.#drop(room, position);
  }

  replaced(): void {
    const { context, name, subscribers } = this.#init;
    if (this.#isOver) return;
    subscribers.counted("replaced");
    context.abort(replacedError(name));
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    for (;;) {
      if (this.#isOver) return { done: true, value: undefined };
      const due = this.#unacked.find(({ sentAtMs }) => sentAtMs === undefined);
      if (due !== undefined) return { done: false, value: this.#again(due) };
      if (this.#failure !== undefined) throw this.#failure.reason;
      const message = this.#take();
      if (message === "over") return { done: true, value: undefined };
      if (message !== undefined) return { done: false, value: message };
      this.#ask();
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#leave();
    void this.#member?.return();
    return Promise.resolve({ done: true, value: undefined });
  }

  async #join(): Promise<Joined> {
    const { subscribers, context, join } = this.#init;
    const cursors = await context.race(Promise.all(this.#keys.map((key) => subscribers.cursor(key))));
    const known = cursors.some((cursor) => cursor !== undefined) ? cursors : this.#positionsOf(context);
    const joined = await join({ view: this, asked: known });
    this.#member = joined.member;
    context.onEnd({ ended: () => this.#leave() });
    try {
      await context.race(this.#begin(joined, cursors));
    } catch (reason) {
      void this.return();
      throw reason;
    }
    return joined;
  }

  async #begin(joined: Joined, cursors: readonly (Position | undefined)[]): Promise<void> {
    const { subscribers, rooms } = this.#init;
    this.#owner = await subscribers.enter(this.#keys, this);
    const isReset = new Set(joined.resets.map(({ room }) => room));
    const begun = rooms.map(async (room, place) => {
      const key = this.#keys[place] ?? "";
      const sent = joined.member.placeIn(room)?.position;
      if (sent === undefined) return; // It has left the room already.
      this.#rooms.set(room, { key, sent, oldEpochs: new Set() });
      // Who goes away without an acknowledgement comes back to here.
      if (cursors[place] === undefined || isReset.has(room)) await subscribers.move(key, sent);
    });
    await Promise.all(begun);
  }

  /** The positions of a client that has acknowledged nothing yet. */
  #positionsOf(context: CallContext): readonly Position[] | "unknown" | undefined {
    const text = context.requestField(lastEventIdHeader) ?? "";
    return text === "" ? undefined : (this.#vector.parse(text) ?? "unknown");
  }

  #now(): string | undefined {
    const positions = this.#init.rooms.map(
      (room) => this.#member?.placeIn(room)?.position ?? this.#rooms.get(room)?.sent,
    );
    return this.#vector.format(positions.filter((position) => position !== undefined));
  }

  /** The next message of the member, if it may be sent. */
  #take(): Message | "over" | undefined {
    const { subscribers } = this.#init;
    if (this.#next === undefined || this.#unacked.length >= subscribers.bounds.maxUnacked) return undefined;
    const { sent, reply } = this.#next;
    this.#next = undefined;
    this.#isAsked = false;
    if (reply === undefined) return "over";
    this.#moveOn();
    if (sent !== undefined) {
      sent.sentAtMs = subscribers.clock.nowMs();
      this.#unacked.push(sent);
      this.#look();
    }
    return reply;
  }

  /** Everything up to where the member stands is sent, or not for it. */
  #moveOn(): void {
    this.#told = this.#now();
    for (const [room, state] of this.#rooms) {
      const position = this.#member?.placeIn(room)?.position;
      if (position === undefined) continue;
      if (state.sent.epoch !== position.epoch) {
        state.oldEpochs.add(state.sent.epoch);
        this.#unacked = this.#unacked.filter((sent) => sent.room !== room); // The room has begun anew.
      }
      state.sent = position;
    }
  }

  #ask(): void {
    if (this.#isAsked || this.#member === undefined) return;
    this.#isAsked = true;
    this.#member.next().then(
      ({ value: reply }) => {
        const sent = this.#moved && { ...this.#moved, sentAtMs: undefined };
        this.#moved = undefined;
        this.#next = { sent, reply };
        this.#wake?.();
      },
      (reason: unknown) => {
        this.#failure = { reason };
        this.#wake?.();
      },
    );
  }

  /** A message once more, which says so. */
  #again(due: Sent): Message {
    const { schema, headersField, subscribers } = this.#init;
    due.sentAtMs = subscribers.clock.nowMs();
    this.#look();
    subscribers.counted("redelivered");
    const copy = clone(schema, due.message);
    const { event, headers = {} } = sharedOf(due.message) ?? {};
    const said = { ...headers, [redeliveredHeader]: "1" };
    if (headersField !== undefined) setField(copy, headersField, said);
    shareMessage(copy, { event, headers: said });
    return copy;
  }

  /** @throws ConnectError as `Subscribers.ack` */
  #check(room: string, { epoch, offset }: Position): void {
    const state = this.#rooms.get(room);
    if (state === undefined || state.oldEpochs.has(epoch)) return;
    if (epoch !== state.sent.epoch) throw noPosition();
    if (offset > state.sent.offset) throw notSent();
  }

  /** Everything of a room up to a position is acknowledged. @returns whether that is of what the room is now */
  #drop(room: string, { epoch, offset }: Position): boolean {
    if (this.#rooms.get(room)?.sent.epoch !== epoch) return false;
    this.#unacked = this.#unacked.filter(
      (sent) => sent.room !== room || sent.position.epoch !== epoch || sent.position.offset > offset,
    );
    this.#look();
    this.#wake?.();
    return true;
  }

  /** Looks at what is not acknowledged when the time of the first one is over. */
  #look(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const times = this.#unacked.flatMap(({ sentAtMs = [] }) => sentAtMs);
    if (times.length === 0 || this.#isOver) return;
    const { clock, bounds } = this.#init.subscribers;
    const waitMs = Math.max(0, Math.min(...times) + bounds.ackTimeoutMs - clock.nowMs());
    this.#cancelTimer = clock.after(waitMs, () => void this.#lookAgain(), false);
  }

  /** Never rejects. */
  async #lookAgain(): Promise<void> {
    await Promise.all([...this.#rooms].map(([room, { key }]) => this.#hear(room, key)));
    if (this.#isOver) return;
    const { clock, bounds } = this.#init.subscribers;
    const lateMs = clock.nowMs() - bounds.ackTimeoutMs;
    for (const sent of this.#unacked) {
      if (sent.sentAtMs !== undefined && sent.sentAtMs <= lateMs) sent.sentAtMs = undefined;
    }
    this.#look();
    this.#wake?.();
  }

  /** What other nodes have heard of the subscriber. Never rejects. */
  async #hear(room: string, key: string): Promise<void> {
    const { subscribers } = this.#init;
    try {
      if (this.#owner !== undefined && !(await subscribers.isOwner(key, this.#owner))) this.replaced();
      const cursor = await subscribers.cursor(key);
      if (cursor !== undefined) this.#drop(room, cursor);
    } catch {
      // The bus is away: what is not acknowledged here is sent again.
    }
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimer?.();
    this.#init.subscribers.leave(this.#keys, this);
    this.#unacked = [];
    this.#wake?.();
  }
}
