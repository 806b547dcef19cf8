import type { Message } from "@bufbuild/protobuf";
import type { CallContext, EndListener } from "../../core/call/context.ts";
import type { Live } from "../../core/call/live-set.ts";
import type { StreamPlace } from "../../core/call/stream-place.ts";
import type { Entry } from "../connections/entry.ts";
import type { Wants } from "./header-filter.ts";
import { type Beginning, Membership, type RoomReader } from "./membership.ts";
import type { PositionVector } from "./position.ts";
import type { RoomReset } from "./resets.ts";
import type { Room } from "./room.ts";

type Answer = IteratorResult<Message, undefined>;

/** Is told what becomes of a member. */
export interface MemberOwner {
  /** By the clock of the hub. */
  nowMs(): number;
  left(member: Member): void;
  reset(member: Member, reset: RoomReset): void;
}

/** What a member is made of. */
export interface MemberInit {
  readonly entry: Entry;
  readonly context: CallContext;
  /** Bytes of messages for it alone that wait for it. */
  readonly maxDirectBytes: number;
  /** How its places are one text; undefined where publications have no positions. */
  readonly vector: PositionVector | undefined;
}

/**
 * A call that reads its rooms: the replies of the call. A room's messages stand once in its ring, and a member is a place
 * there, so that one that is slow costs a number and no copy. Messages for it alone come first.
 */
export class Member
  implements AsyncIterableIterator<Message, undefined, undefined>, EndListener, Live, StreamPlace, RoomReader
{
  livePlace = -1;
  readonly entry: Entry;
  readonly context: CallContext;
  readonly #init: MemberInit;
  readonly #owner: MemberOwner;
  readonly #memberships: Membership[] = [];
  /** The room that is read next: they take turns. */
  #turn = 0;
  #direct: { readonly message: Message; readonly bytes: number }[] = [];
  #directBytes = 0;
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #isOver = false;

  constructor(init: MemberInit, owner: MemberOwner) {
    this.entry = init.entry;
    this.context = init.context;
    this.#init = init;
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether its call waits for a message. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  get memberships(): readonly Membership[] {
    return this.#memberships;
  }

  nowMs(): number {
    return this.#owner.nowMs();
  }

  /** Joins a room. @param intro messages that come first */
  enter(room: Room, wants: Wants | undefined, beginning: Beginning, intro: readonly Message[]): void {
    const membership = new Membership(room, this, wants, beginning, intro);
    this.#memberships.push(membership);
    room.add(membership);
  }

  /** It leaves when its call ends, at once if it has ended already. */
  live(): void {
    this.context.onEnd(this);
  }

  positionText(): string | undefined {
    return this.#init.vector?.format(this.#memberships.map(({ position }) => position));
  }

  settledText(): string | undefined {
    return this.isWaiting ? this.positionText() : undefined;
  }

  reset(reset: RoomReset): void {
    this.#owner.reset(this, reset);
  }

  /** Hands a message of a room to a call that waits for one. */
  hand(message: Message): void {
    this.#hand(this.#stamped(message));
  }

  /** Gives a call that waits what there is to read now. */
  wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let message: Message | undefined;
    try {
      message = this.#read();
    } catch (reason) {
      this.#waiting = undefined;
      waiting.reject(reason);
      this.#leave();
      return;
    }
    if (message !== undefined) this.#hand(message);
  }

  /** A message for this call alone. @param bytes its size */
  direct(message: Message, bytes: number): "sent" | "failed" {
    if (this.#isOver) return "failed";
    if (this.isWaiting) {
      this.#hand(message);
      return "sent";
    }
    if (this.#directBytes + bytes > this.#init.maxDirectBytes) return "failed";
    this.#direct.push({ message, bytes });
    this.#directBytes += bytes;
    return "sent";
  }

  next(): Promise<Answer> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    const first = this.#direct.shift();
    if (first !== undefined) {
      this.#directBytes -= first.bytes;
      return Promise.resolve({ done: false, value: first.message });
    }
    let message: Message | undefined;
    try {
      message = this.#read();
    } catch (reason) {
      this.#leave();
      return Promise.reject(reason);
    }
    if (message !== undefined) return Promise.resolve({ done: false, value: message });
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
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

  #hand(message: Message): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ done: false, value: message });
  }

  #read(): Message | undefined {
    const count = this.#memberships.length;
    for (let i = 0; i < count; i++) {
      const membership = this.#memberships[(this.#turn + i) % count];
      const message = membership?.read();
      if (membership === undefined || message === undefined) continue;
      this.#turn = (this.#turn + i + 1) % count;
      return this.#stamped(message);
    }
    return undefined;
  }

  /** A message of a call with several rooms has the places of all of them. */
  #stamped(message: Message): Message {
    const [first, second] = this.#memberships;
    if (first === undefined || second === undefined) return message;
    const position = this.positionText();
    return position === undefined ? message : first.room.kind.restamp(message, position);
  }

  /** Leaves all rooms, once. */
  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const membership of this.#memberships) membership.room.delete(membership);
    this.#direct = [];
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
    this.#owner.left(this);
  }
}
