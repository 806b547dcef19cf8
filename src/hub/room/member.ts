import type { Message } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { CallContext, EndListener } from "../../core/call/context.ts";
import type { Live } from "../../core/call/live-set.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Entry } from "../connections/entry.ts";
import type { Wants } from "./header-filter.ts";
import type { Offered, Publication } from "./publication.ts";
import type { Room, RoomPlace } from "./room.ts";

type Answer = IteratorResult<Message, undefined>;

/** A member's place in one of its rooms. */
export class Membership implements RoomPlace {
  livePlace = -1;
  readonly room: Room;
  readonly member: Member;
  readonly #wants: Wants | undefined;
  /** Number of the publication that the member reads next. */
  #cursor: number;

  constructor(room: Room, member: Member, wants: Wants | undefined) {
    this.room = room;
    this.member = member;
    this.#wants = wants;
    this.#cursor = room.ring.next;
  }

  offer(publication: Publication): Offered {
    if (!this.#isFor(publication)) {
      if (this.#cursor === this.room.ring.next - 1) this.#cursor++; // It has read everything before.
      return "filtered";
    }
    if (this.member.isOver) return "failed";
    if (this.#cursor < this.room.ring.next - 1 || !this.member.hand(publication.message)) return "lagging";
    this.#cursor++;
    return "sent";
  }

  /** The next message of the room for the member; undefined where it has read all of them. */
  read(): Message | undefined {
    const { ring } = this.room;
    if (this.#cursor < ring.oldest) throw slowConsumer();
    while (this.#cursor < ring.next) {
      const publication = ring.at(this.#cursor++);
      if (publication !== undefined && this.#isFor(publication)) return publication.message;
    }
    return undefined;
  }

  #isFor({ to, notTo, headers }: Publication): boolean {
    const { entry } = this.member;
    return notTo !== entry && (to?.(entry) ?? true) && (this.#wants?.(headers) ?? true);
  }
}

/** Is told when a member leaves. */
export interface MemberOwner {
  left(member: Member): void;
}

/**
 * A call that reads its rooms: the replies of the call. A room's messages stand once in its ring, and a member is a place
 * there, so that one that is slow costs a number and no copy. Messages for it alone come first.
 */
export class Member implements AsyncIterableIterator<Message, undefined, undefined>, EndListener, Live {
  livePlace = -1;
  readonly entry: Entry;
  readonly context: CallContext;
  readonly #owner: MemberOwner;
  readonly #maxDirectBytes: number;
  readonly #memberships: Membership[] = [];
  /** The room that is read next: they take turns. */
  #turn = 0;
  #direct: { readonly message: Message; readonly bytes: number }[] = [];
  #directBytes = 0;
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #isOver = false;

  constructor(entry: Entry, context: CallContext, maxDirectBytes: number, owner: MemberOwner) {
    this.entry = entry;
    this.context = context;
    this.#maxDirectBytes = maxDirectBytes;
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get memberships(): readonly Membership[] {
    return this.#memberships;
  }

  /** Joins a room: what is published from now on is read. */
  enter(room: Room, wants: Wants | undefined): void {
    const membership = new Membership(room, this, wants);
    this.#memberships.push(membership);
    room.add(membership);
  }

  /** It leaves when its call ends, at once if it has ended already. */
  live(): void {
    this.context.onEnd(this);
  }

  /** Hands a message to a call that waits for one. @returns false where it does not wait */
  hand(message: Message): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined) return false;
    this.#waiting = undefined;
    waiting.resolve({ done: false, value: message });
    return true;
  }

  /** A message for this call alone. @param bytes its size */
  direct(message: Message, bytes: number): "sent" | "failed" {
    if (this.#isOver) return "failed";
    if (this.hand(message)) return "sent";
    if (this.#directBytes + bytes > this.#maxDirectBytes) return "failed";
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
      return Promise.reject(reason); // `slowConsumer` alone.
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

  #read(): Message | undefined {
    const count = this.#memberships.length;
    for (let i = 0; i < count; i++) {
      const membership = this.#memberships[(this.#turn + i) % count];
      const message = membership?.read();
      if (message === undefined) continue;
      this.#turn = (this.#turn + i + 1) % count;
      return message;
    }
    return undefined;
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

/** With what a call ends whose client reads so slowly that the ring of a room has gone on. */
function slowConsumer(): ConnectError {
  const error = new ConnectError(
    "the client reads more slowly than messages are published: come back",
    Code.ResourceExhausted,
  );
  error.details = [{ desc: ErrorInfoSchema, value: { reason: "SLOW_CONSUMER", domain: "ts-ms" } }];
  return error;
}
