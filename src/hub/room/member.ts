import type { Message } from "@bufbuild/protobuf";
import type { CallContext, EndListener } from "../../core/call/context.ts";
import type { Live } from "../../core/call/live-set.ts";
import { pushesItems, type PushSink, type PushSource } from "../../core/call/push-source.ts";
import type { StreamPlace } from "../../core/call/stream-place.ts";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { Entry, EntryReader } from "../connections/entry.ts";
import { type Identity, tagOf } from "../connections/identity.ts";
import type { Wants } from "./header-filter.ts";
import { type Beginning, type Grant, Membership, type RoomReader } from "./membership.ts";
import type { PositionVector } from "./position.ts";
import type { MemberView } from "./member-view.ts";
import { readOnLater, type ReadsOn } from "./reading-turns.ts";
import type { ResetMessage, RoomReset } from "./resets.ts";
import type { Room } from "./room.ts";

type Answer = IteratorResult<Message, undefined>;

/** Is told what becomes of a member. */
export interface MemberOwner {
  /** By the clock of the hub. */
  nowMs(): number;
  /** It is in a room, and has read nothing there. */
  began(membership: Membership): void;
  /** It has left one room of several. */
  leftRoom(membership: Membership): void;
  /** It has left all rooms. */
  left(member: Member): void;
  reset(member: Member, reset: RoomReset): void;
}

/** What a member is made of. */
export interface MemberInit {
  readonly entry: Entry;
  readonly context: CallContext;
  /** Undefined where the handler has joined. */
  readonly request: Message | undefined;
  /** Which publications it wants itself; undefined for all. */
  readonly own: Wants | undefined;
  /** Bytes of messages for it alone that wait for it. */
  readonly maxDirectBytes: number;
  /** How its places are one text; undefined where publications have no positions. */
  readonly vector: PositionVector | undefined;
  /** How the call sees messages; undefined where they are its replies. */
  readonly view: MemberView | undefined;
}

/** The most messages that a member that was behind reads in a turn of the event loop: then it is the turn of others. */
const mostInTurn = 64;

/**
 * A call that reads its rooms: the replies of the call. A room's messages stand once in its ring, and a member is a place
 * there, so that one that is slow costs a number and no copy. One that is up to date, and whose connection takes more, has
 * each message handed over when it is published. Messages for it alone come first.
 */
export class Member
  implements
    PushSource<Message>,
    AsyncIterableIterator<Message, undefined, undefined>,
    EndListener,
    Live,
    EntryReader,
    RoomReader,
    ReadsOn,
    StreamPlace
{
  readonly [pushesItems] = true;
  livePlace = -1;
  isClosed = false;
  readonly entry: Entry;
  readonly context: CallContext;
  readonly request: Message | undefined;
  readonly own: Wants | undefined;
  readonly #init: MemberInit;
  readonly #owner: MemberOwner;
  #memberships: Membership[] = [];
  /** Those that the call has asked for, of which its position is made. */
  #asked: Membership[] = [];
  /** The room that is read next: they take turns. */
  #turn = 0;
  #direct: { readonly message: Message; readonly bytes: number }[] = [];
  #directBytes = 0;
  #waiting: PromiseWithResolvers<Answer> | undefined;
  /** What messages are handed to; undefined for a call that asks for them. */
  #sink: PushSink | undefined;
  /** Whether the sink takes a message, and there was none. */
  #isIdle = false;
  /** How many messages it was given, one behind the other, without waiting for one. */
  #given = 0;
  #isOver = false;

  constructor(init: MemberInit, owner: MemberOwner) {
    this.entry = init.entry;
    this.context = init.context;
    this.request = init.request;
    this.own = init.own;
    this.#init = init;
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether its call waits for a message. */
  get isWaiting(): boolean {
    return this.#isIdle || this.#waiting !== undefined;
  }

  get memberships(): readonly Membership[] {
    return this.#memberships;
  }

  nowMs(): number {
    return this.#owner.nowMs();
  }

  get size(): number {
    return this.#memberships.length;
  }

  get rooms(): readonly string[] {
    return this.#memberships.map(({ room }) => room.path);
  }

  get waitingBytes(): number {
    return this.#directBytes;
  }

  get behindSinceMs(): number | undefined {
    const since = this.#memberships.flatMap(({ behindSinceMs = [] }) => behindSinceMs);
    return since.length === 0 ? undefined : Math.min(...since);
  }

  /** The identity of the call, whatever that of its connection is. */
  get identity(): Identity {
    return this.entry.identityOf(this.context);
  }

  get id(): string {
    return this.entry.id;
  }

  get user(): string | undefined {
    return this.identity.user;
  }

  get door(): DoorName {
    return this.entry.door;
  }

  get address(): string {
    return this.entry.address;
  }

  get tags(): Readonly<Record<string, string>> | undefined {
    const granted = this.#memberships.map(({ grant }) => grant.tags).filter((tags) => tags !== undefined);
    return granted.length === 0 ? undefined : Object.fromEntries(granted.flatMap(Object.entries<string>));
  }

  tag(name: string): string | undefined {
    for (const { grant } of this.#memberships) {
      const granted = tagOf(grant.tags, name);
      if (granted !== undefined) return granted;
    }
    return tagOf(this.identity.tags, name);
  }

  isIn(room: string): boolean {
    return this.#memberships.some((membership) => membership.room.path === room);
  }

  reads(topic: string): boolean {
    return this.#memberships.some(({ room }) => room.topic === topic);
  }

  /** Its place in a room of its topic; undefined where it is not there. @param name without the topic */
  placeIn(name: string): Membership | undefined {
    return this.#memberships.find(({ room }) => room.name === name);
  }

  /** Joins a room that the call has asked for. @param intro messages that come first */
  enter(room: Room, grant: Grant, beginning: Beginning, intro: readonly Message[]): void {
    const membership = this.enterAlso(room, grant, beginning, intro);
    // As long as they are: an empty array that grows has room for many.
    if (this.#asked.length === 0) this.#asked = [membership];
    else this.#asked.push(membership);
  }

  /** Joins a further room: the position of the call says nothing of it. @param intro messages that come first */
  enterAlso(room: Room, grant: Grant, beginning: Beginning, intro: readonly Message[]): Membership {
    const membership = new Membership(room, this, grant, beginning, intro);
    if (this.#memberships.length === 0) this.#memberships = [membership];
    else this.#memberships.push(membership);
    room.add(membership);
    this.#owner.began(membership);
    return membership;
  }

  /** Leaves a room. Without any the call ends, and that well. */
  leave(membership: Membership): void {
    const place = this.#memberships.indexOf(membership);
    if (place === -1) return;
    if (this.#memberships.length === 1) {
      this.#leave();
      return;
    }
    this.#memberships.splice(place, 1);
    membership.room.delete(membership);
    this.#owner.leftRoom(membership);
  }

  /** It leaves when its call ends, at once if it has ended already. */
  live(): void {
    this.context.onEnd(this);
  }

  positionText(): string | undefined {
    if (this.#init.view !== undefined) return this.#init.view.positionText();
    return this.#init.vector?.format(this.#asked.map(({ position }) => position));
  }

  settledText(): string | undefined {
    return this.isWaiting ? this.positionText() : undefined;
  }

  resetMessageOf(room: Room): ResetMessage | undefined {
    return this.#init.view?.resetMessage?.(room) ?? room.kind.resetMessage;
  }

  reset(reset: RoomReset): void {
    this.#owner.reset(this, reset);
  }

  /** Hands a message of a room to a call that waits for one. */
  hand(message: Message, membership: Membership): void {
    this.#hand(this.#stamped(message, membership));
  }

  /** Gives a call that waits what there is to read now. */
  wake(): void {
    if (this.#isIdle) {
      this.#readOn();
      return;
    }
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let message: Message | undefined;
    try {
      message = this.#readDirect() ?? this.#read();
    } catch (reason) {
      this.#waiting = undefined;
      waiting.reject(reason);
      this.#leave();
      return;
    }
    if (message !== undefined) this.#hand(message);
  }

  /** A message for this call alone. @param bytes its size */
  direct(sent: Message, bytes: number): "sent" | "failed" {
    if (this.#isOver) return "failed";
    const message = this.#init.view?.seen(sent, undefined) ?? sent;
    if (this.isWaiting) {
      this.#hand(message);
      return "sent";
    }
    if (this.#directBytes + bytes > this.#init.maxDirectBytes) {
      this.entry.dropped++;
      return "failed";
    }
    this.#direct.push({ message, bytes });
    this.#directBytes += bytes;
    return "sent";
  }

  push(sink: PushSink): void {
    if (this.#isOver) {
      sink.ended();
      return;
    }
    this.#sink = sink;
    this.#readOn();
  }

  resume(): void {
    if (!this.#isOver) this.#readOn();
  }

  readOn(): void {
    if (this.#sink === undefined) this.wake();
    else this.resume();
  }

  /** Hands over what there is to read, as long as the call takes it, and goes on in the next turn of the event loop. */
  #readOn(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    this.#isIdle = false;
    try {
      for (let count = 0; count < mostInTurn; count++) {
        const message = this.#readDirect() ?? this.#read();
        if (message === undefined) {
          this.#isIdle = !this.#isOver;
          return;
        }
        if (!sink.take(message)) return;
      }
      readOnLater(this);
    } catch (reason) {
      this.#sink = undefined;
      this.#leave();
      sink.failed(reason);
    }
  }

  next(): Promise<Answer> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    if (this.#given >= mostInTurn) {
      readOnLater(this);
      return this.#wait();
    }
    let message: Message | undefined;
    try {
      message = this.#readDirect() ?? this.#read();
    } catch (reason) {
      this.#leave();
      return Promise.reject(reason);
    }
    if (message === undefined) return this.#wait();
    this.#given++;
    return Promise.resolve({ done: false, value: message });
  }

  return(): Promise<Answer> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  ended(): void {
    this.#leave();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wait(): Promise<Answer> {
    this.#given = 0;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  #readDirect(): Message | undefined {
    const first = this.#direct.shift();
    if (first === undefined) return undefined;
    this.#directBytes -= first.bytes;
    return first.message;
  }

  #hand(message: Message): void {
    if (this.#sink !== undefined) {
      this.#isIdle = false;
      if (this.#sink.take(message)) this.#isIdle = !this.#isOver;
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#given++;
    waiting?.resolve({ done: false, value: message });
  }

  #read(): Message | undefined {
    const count = this.#memberships.length;
    for (let i = 0; i < count; i++) {
      const membership = this.#memberships[(this.#turn + i) % count];
      const message = membership?.read();
      if (membership === undefined || message === undefined) continue;
      this.#turn = (this.#turn + i + 1) % count;
      return this.#stamped(message, membership);
    }
    return undefined;
  }

  /** A message of a call with several rooms has the places of all that it has asked for. */
  #stamped(message: Message, membership: Membership): Message {
    if (this.#init.view !== undefined) return this.#init.view.seen(message, membership);
    if (this.#asked.length === 1 && this.#asked[0] === membership) return message;
    const position = this.positionText();
    return position === undefined ? message : membership.room.kind.restamp(message, position);
  }

  /** Leaves all rooms, once. */
  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const membership of this.#memberships) membership.room.delete(membership);
    this.#direct = [];
    this.#isIdle = false;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
    this.#owner.left(this);
    this.#sink?.ended();
  }
}
