import type { Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { Entry } from "../connections/entry.ts";
import type { Selectable } from "../connections/selectable.ts";
import type { Wants } from "./header-filter.ts";
import type { Position } from "./position.ts";
import type { Offered, Publication, RoomEntry } from "./publication.ts";
import { resetError, type ResetMessage, slowConsumer, type ResetReason, type RoomReset } from "./resets.ts";
import { type RingItem, unkeptBefore } from "./ring.ts";
import type { Room, RoomPlace } from "./room.ts";

/** A call that reads rooms, as its place in one of them sees it. */
export interface RoomReader extends Selectable {
  readonly entry: Entry;
  /** Which publications it wants itself; undefined for all. */
  readonly own: Wants | undefined;
  readonly isOver: boolean;
  /** Whether the hub was asked to close it. */
  readonly isClosed: boolean;
  /** Whether it waits for a message. */
  readonly isWaiting: boolean;
  /** By the clock of the hub. */
  nowMs(): number;
  /** Gives it the message that it waits for. */
  hand(message: Message, membership: Membership): void;
  /** Gives it a message that passes others. @param bytes its size */
  direct(message: Message, bytes: number): Offered;
  /** Something has come that it may read. */
  wake(): void;
  /** Where it stands in all its rooms; undefined where publications have no positions. */
  positionText(): string | undefined;
  /** Undefined where its messages cannot say that some are missing. */
  resetMessageOf(room: Room): ResetMessage | undefined;
  /** It has missed some, and is told so. */
  reset(reset: RoomReset): void;
}

/** What a member is told of a room beside what is published there. */
export interface RoomNews {
  /** Undefined where there is nothing. */
  next(): Message | undefined;
}

/** What a member was granted for a room. */
export interface Grant {
  /** Default: all publications. */
  readonly wants?: Wants | undefined;
  /** When it is asked for again, in milliseconds since 1970; undefined for never. */
  readonly endsAtMs?: number | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** What others in the room see of the user; undefined for nothing. */
  readonly info?: Any | undefined;
}

/** Where a member begins in a room. */
export interface Beginning {
  readonly result: "fresh" | "recovered" | "reset";
  /** Why it is not continued; undefined where it is, or is fresh. */
  readonly reason: ResetReason | undefined;
  /** Behind which everything is read. */
  readonly position: Position;
  /** Publications that are read first. */
  readonly replay: readonly RoomEntry[];
  /** Number in the ring from which is read then. */
  readonly number: number;
}

/** A member's place in one of its rooms: what it has still to read there. */
export class Membership implements RoomPlace {
  livePlace = -1;
  readonly room: Room;
  readonly member: RoomReader;
  /** What the member was granted for the room. */
  grant: Grant;
  /** Who is in the room; undefined where that is not told. */
  news: RoomNews | undefined;
  /** When it fell behind, by the hub's clock; undefined where it has read everything. */
  behindSinceMs: number | undefined;
  /** Messages that are read before all others: a reset, and the state of the room. */
  #intro: readonly Message[];
  /** Publications that are read behind them. */
  #replay: readonly RoomEntry[];
  #replayed = 0;
  /** Number in the ring of what is read then. */
  #cursor: number;
  /** The last place that was read. */
  #epoch: string;
  #offset: number;
  #unkept: number;
  /** Numbers of the publications of low priority that are read, as nothing else waited when they came. */
  #lowFrom = -1;
  #lowTo = -1;
  /** How often it waits for what comes from elsewhere: the history, and the state of the room. */
  #pauses = 0;
  #failure: ConnectError | undefined;

  /** @param intro messages that come first */
  constructor(room: Room, member: RoomReader, grant: Grant, beginning: Beginning, intro: readonly Message[]) {
    this.room = room;
    this.member = member;
    this.grant = grant;
    this.#intro = intro;
    this.#replay = beginning.replay;
    this.#cursor = beginning.number;
    this.#epoch = beginning.position.epoch;
    this.#offset = beginning.position.offset;
    this.#unkept = room.ring.unkept;
  }

  /** How many publications it has still to read; when it comes, all of them are from before. */
  get unread(): number {
    const { ring } = this.room;
    let count = this.#replay.filter((entry) => entry.position !== undefined && this.#isDue(entry, -1)).length;
    for (let number = Math.max(this.#cursor, ring.oldest); number < ring.next; number++) {
      const entry = ring.at(number)?.entry;
      if (entry !== undefined && this.#isDue(entry, number)) count++;
    }
    return count;
  }

  /** Behind the last message that was read. */
  get position(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  offer(entry: RoomEntry, batch: number | undefined, isSoon: boolean): Offered {
    const { publication } = entry;
    const number = this.room.ring.next - 1;
    const isUpToDate = this.#isUpTo(batch ?? number);
    const isNext = isUpToDate && this.#cursor === number;
    if (!this.#isFor(publication)) {
      if (isNext) this.#pass(this.room.ring.last);
      return "filtered";
    }
    if (this.member.isOver) return "failed";
    if (publication.priority === "low") {
      if (!isUpToDate) {
        this.member.entry.dropped++;
        return "dropped";
      }
      if (this.#lowFrom < (batch ?? number)) this.#lowFrom = number;
      this.#lowTo = number;
    }
    if (batch !== undefined || !isNext || !this.member.isWaiting) {
      if (isSoon && isUpToDate && this.behindSinceMs === undefined && this.member.isWaiting) return "sent";
      if (batch === undefined || isSoon || !isUpToDate) this.behindSinceMs ??= this.member.nowMs();
      return "lagging";
    }
    this.#pass(this.room.ring.last);
    this.member.hand(publication.message, this);
    return "sent";
  }

  offerFirst(publication: Publication): Offered {
    if (!this.#isFor(publication)) return "filtered";
    return this.member.direct(publication.message, publication.bytes);
  }

  wake(): void {
    this.member.wake();
  }

  readSoon(late: (number: number) => void): void {
    const wasBehind = this.behindSinceMs !== undefined;
    this.member.wake();
    const { ring } = this.room;
    if (wasBehind || this.member.isOver || this.#cursor >= ring.next) return;
    this.behindSinceMs ??= this.member.nowMs();
    for (let number = Math.max(this.#cursor, ring.oldest); number < ring.next; number++) {
      const publication = ring.at(number)?.entry?.publication;
      if (publication !== undefined && this.#isFor(publication)) late(number);
    }
  }

  /**
   * The next message of the room for the member; undefined where it has read all of them, or waits.
   *
   * @throws ConnectError with which its call ends, where some are missing and its messages cannot say so
   */
  read(): Message | undefined {
    const first = this.#readFirst();
    if (first !== undefined || this.#pauses > 0) return first;
    const news = this.news?.next();
    if (news !== undefined) return news;
    const { ring } = this.room;
    for (;;) {
      if (this.#cursor < ring.oldest) {
        if (this.room.kind.overflow !== "CONFLATE" || ring.hasLost(this.#cursor)) return this.#fallenBehind();
        this.#cursor = ring.oldest; // Only what has a successor was dropped.
      }
      const number = this.#cursor;
      const item = ring.at(number);
      if (item === undefined) {
        this.behindSinceMs = undefined;
        return undefined;
      }
      this.#pass(item);
      const { entry, begun } = item;
      if (begun !== undefined) return this.#reset(begun, undefined);
      if (this.room.kind.overflow === "CONFLATE" && ring.isOutdated(number, entry?.publication.key)) continue;
      if (entry !== undefined && this.#isDue(entry, number)) return entry.publication.message;
    }
  }

  #readFirst(): Message | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const [message, ...others] = this.#intro;
    if (message !== undefined) {
      this.#intro = others;
      return message;
    }
    while (this.#replayed < this.#replay.length) {
      const entry = this.#replay[this.#replayed++];
      if (entry?.position === undefined) continue;
      this.#offset = entry.position.offset;
      if (this.#isDue(entry, -1)) return entry.publication.message;
    }
    this.#replay = [];
    this.#replayed = 0;
    return undefined;
  }

  /** Whether nothing waits for the member in front of a number. */
  #isUpTo(number: number): boolean {
    return (
      this.#cursor >= number && this.#pauses === 0 && this.#intro.length === 0 && this.#replay.length === 0
    );
  }

  /** An item of the ring is read. */
  #pass(item: RingItem | undefined): void {
    if (item === undefined) return; // The ring has what has just come.
    this.#cursor++;
    this.#epoch = item.epoch;
    this.#offset = item.offset;
    this.#unkept = item.unkept;
  }

  #isDue({ publication, untilMs }: RoomEntry, number: number): boolean {
    if (publication.priority === "low" && number >= 0 && !this.#hasKept(number)) return false; // It was dropped.
    if (untilMs !== undefined && this.member.nowMs() >= untilMs) return false;
    return this.#isFor(publication);
  }

  #hasKept(low: number): boolean {
    return low >= this.#lowFrom && low <= this.#lowTo;
  }

  #isFor({ to, notTo, headers }: Publication): boolean {
    const { member, grant } = this;
    return (
      notTo !== member.entry &&
      (to?.(member) ?? true) &&
      (member.own?.(headers) ?? true) &&
      (grant.wants?.(headers) ?? true)
    );
  }

  /** The ring has gone on. */
  #fallenBehind(): Message | undefined {
    const { ring, kind, history } = this.room;
    if (kind.overflow === "DISCONNECT") throw slowConsumer(this.member.positionText());
    const oldest = ring.at(ring.oldest);
    const lost = (oldest === undefined ? ring.unkept : unkeptBefore(oldest)) - this.#unkept;
    if (!kind.hasHistory || lost > 0) return this.#lagged();
    this.#pause(
      history.after(this.position, kind.replayMax).then((following) => {
        if (typeof following === "string") return this.#late(this.#lagged());
        this.#replay = following.entries;
        this.#cursor = following.number;
      }),
    );
    return undefined;
  }

  /** It goes on with the oldest publication that there is. */
  #lagged(): Message | undefined {
    const { ring } = this.room;
    const { oldest } = ring;
    const missed = ring.missedFrom(this.#cursor);
    this.member.entry.dropped += missed;
    const item = ring.at(oldest);
    this.#cursor = oldest;
    this.#epoch = item?.epoch ?? ring.top.epoch;
    this.#offset =
      item === undefined ? ring.top.offset : item.offset - (item.entry?.position === undefined ? 0 : 1);
    return this.#reset("LAGGED", missed);
  }

  #reset(reason: ResetReason, missed: number | undefined): Message | undefined {
    const { room, member } = this;
    const { snapshot } = room.kind;
    const resetMessage = member.resetMessageOf(room);
    const reset = { room: room.name, reason, missed };
    member.reset(reset);
    if (resetMessage === undefined) throw resetError(reset, member.positionText());
    if (snapshot !== undefined) {
      const { ring } = room;
      this.#cursor = ring.next;
      ({ epoch: this.#epoch, offset: this.#offset } = ring.top);
      this.#pause(
        snapshot(room.name).then((state) => {
          this.#intro = [...this.#intro, ...state];
        }),
      );
    }
    return resetMessage(reset, member.positionText());
  }

  /** A message that is read first, when it goes on. */
  #late(message: Message | undefined): void {
    if (message !== undefined) this.#intro = [message, ...this.#intro];
  }

  #pause(work: Promise<void>): void {
    this.#pauses++;
    work
      .catch((reason: unknown) => {
        this.#failure = toCallError(reason);
      })
      .finally(() => {
        this.#pauses--;
        this.member.wake();
      });
  }
}
