import type { Message } from "@bufbuild/protobuf";
import { type Live, LiveSet } from "../../core/call/live-set.ts";
import type { Clock } from "../../core/time/clock.ts";
import { Conflation } from "./conflation.ts";
import type { ConfirmingCall, Confirmations } from "./confirmations.ts";
import type { Position } from "./position.ts";
import {
  type Deliveries,
  noDeliveries,
  type Offered,
  type Publication,
  type RoomEntry,
} from "./publication.ts";
import type { ResetMessage } from "./resets.ts";
import { type BegunWhy, Ring, type RingBounds, type RingBudget } from "./ring.ts";
import { type HistoryPage, type HistorySource, RoomHistory } from "./room-history.ts";

/** A member's place in a room, as the room sees it. */
export interface RoomPlace extends Live {
  /** The call whose place it is. */
  readonly member: ConfirmingCall;
  /** When it fell behind, by the hub's clock; undefined where it has read everything. */
  readonly behindSinceMs: number | undefined;
  /**
   * The room has a publication, which its ring has already.
   *
   * @param batch number of the first publication that waits for `wake`, as this one does; undefined: none waits
   * @param isSoon whether it waits for `readSoon` only, in this turn of the event loop
   */
  offer(entry: RoomEntry, batch: number | undefined, isSoon: boolean): Offered;
  /** A publication that passes what waits; the ring does not have it. */
  offerFirst(publication: Publication): Offered;
  /** The ring has something to read: publications that have waited, or that the room has begun anew. */
  wake(): void;
  /** The publications of a turn are read. @param late called with the number of each that was `sent` and is not taken */
  readSoon(late: (number: number) => void): void;
}

/** Publications that wait in the ring, from a number on. */
interface Waiting {
  readonly from: number;
  bytes: number;
  readonly cancel: () => void;
  /** What is known of each of those that wait for the end of this turn; undefined where they wait for a time. */
  readonly soon: { readonly deliveries: Deliveries; readonly told: Told }[] | undefined;
}

/** Is told what has become of a publication. */
type Told = (deliveries: Deliveries) => void;

/** The most publications of one turn that wait for its end, and their bytes: less than what a connection takes at once. */
const mostSoon = 32;
const mostSoonBytes = 16 * 1024;

/** What all rooms of a topic have in common. */
export interface RoomKind {
  /** Name of the topic. */
  readonly topic: string;
  readonly ring: RingBounds;
  /** Whether publications get positions. */
  readonly hasHistory: boolean;
  /** The most publications that a member reads on from the history. */
  readonly replayMax: number;
  readonly overflow: Overflow;
  /** How publications are gathered. */
  readonly batch: BatchBounds;
  /** Of the publications of a key only the last one in that time is sent, in milliseconds; 0 for all. */
  readonly conflateEveryMs: number;
  /** Says in a message where it stands. */
  stamp(publication: Publication, position: Position): void;
  /** Says in a copy of a message where a call with several rooms stands. */
  restamp(message: Message, position: string): Message;
  /** Undefined where messages cannot say that some are missing. */
  readonly resetMessage: ResetMessage | undefined;
  /** The state of a room; undefined for none. */
  readonly snapshot: ((room: string) => Promise<readonly Message[]>) | undefined;
}

/** Publications of a room that reach its members together. */
export interface BatchBounds {
  /** How long the first one waits for further ones, in milliseconds; 0 for not at all. */
  readonly delayMs: number;
  /** With how many it waits no longer. */
  readonly max: number;
}

/** What becomes of a member that is further behind than the ring. */
export type Overflow = "DROP_OLDEST" | "CONFLATE" | "DISCONNECT";

/** What the bus knows of all rooms, by their paths. */
export interface RoomsSource {
  /** As `readPage` of `HistorySource`. */
  read(path: string, after: Position | undefined, limit: number): Promise<HistoryPage>;
  /** As `readTop` of `HistorySource`. */
  top(path: string): Promise<Position | undefined>;
}

/** A room of a topic in this process: its members, and what they still have to read. */
export class Room implements HistorySource {
  readonly kind: RoomKind;
  readonly name: string;
  readonly path: string;
  readonly ring: Ring;
  readonly history: RoomHistory;
  /** Resolves when what is published comes here; rejects where the bus is away. */
  ready: Promise<void> = Promise.resolve();
  /** Whether `ready` has resolved. */
  isReady = false;
  /** Members, and calls that are about to be. */
  holds = 0;
  /** Until when it is kept without members, and when that is looked for; undefined for not at all. */
  untilMs = 0;
  queuedMs: number | undefined;
  /** Publications that wait in the ring for further ones; undefined while none do. */
  #batch: Waiting | undefined;
  /** Whether there was a publication in this turn of the event loop, before its promises have their reactions. */
  #isTurn = false;
  /** Undefined where all publications are sent. */
  readonly #conflation: Conflation | undefined;
  readonly #clock: Clock;
  readonly #source: RoomsSource;
  readonly #confirmations: Confirmations | undefined;
  readonly #members = new LiveSet<RoomPlace>();
  /** Called when the ring has something more; undefined while nothing waits for that. */
  #waiting: Set<() => void> | undefined;

  /** @param confirmations those that publications wait for. Default: none */
  constructor(
    kind: RoomKind,
    name: string,
    budget: RingBudget,
    clock: Clock,
    source: RoomsSource,
    confirmations?: Confirmations,
  ) {
    this.#clock = clock;
    this.#source = source;
    this.#confirmations = confirmations;
    this.kind = kind;
    this.name = name;
    this.path = pathOf(kind.topic, name);
    this.ring = new Ring(kind.ring, budget);
    const { conflateEveryMs, hasHistory } = kind;
    if (conflateEveryMs > 0) {
      this.#conflation = new Conflation(conflateEveryMs, hasHistory, clock, (entry) =>
        this.#give(entry, nothing),
      );
    }
    this.history = new RoomHistory(this.ring, this);
  }

  async readPage(after: Position | undefined, limit: number): Promise<HistoryPage> {
    const page = await this.#source.read(this.path, after, limit);
    for (const entry of page.entries) this.#stamp(entry);
    return page;
  }

  readTop(): Promise<Position | undefined> {
    return this.#source.top(this.path);
  }

  get topic(): string {
    return this.kind.topic;
  }

  get size(): number {
    return this.#members.size;
  }

  /** The places of its members, in no particular order. */
  get places(): Iterable<RoomPlace> {
    return this.#members;
  }

  add(place: RoomPlace): void {
    this.#members.add(place);
  }

  delete(place: RoomPlace): void {
    this.#members.delete(place);
  }

  /** Resolves when the ring has reached a position of the room, or `ms` milliseconds have passed. */
  async reached({ epoch, offset }: Position, ms: number): Promise<void> {
    const isThere = (): boolean => this.ring.top.epoch === epoch && this.ring.top.offset >= offset;
    if (isThere()) return;
    const waiting = (this.#waiting ??= new Set());
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (isThere()) resolve();
    };
    waiting.add(look);
    const cancel = this.#clock.after(ms, resolve);
    await promise;
    cancel();
    waiting.delete(look);
    if (waiting.size === 0) this.#waiting = undefined;
  }

  /**
   * Gives a publication to all members: at once to those that wait for it, later to those that are behind. Of several in
   * one turn of the event loop those behind the first are given member by member, which costs less by far.
   *
   * @param told called at the end of this turn at the latest
   */
  deliver(entry: RoomEntry, told: Told): void {
    this.#stamp(entry);
    if (this.#conflation?.add(entry) !== "waits") this.#give(entry, told);
    else told({ ...noDeliveries(), members: this.size, lagging: this.size });
  }

  #give(entry: RoomEntry, told: Told): void {
    const deliveries = noDeliveries();
    const { publication } = entry;
    const passes = publication.priority === "high" && entry.position === undefined;
    if (!passes) {
      this.ring.add(entry);
      if (this.#waiting !== undefined) for (const look of this.#waiting) look();
      this.#gather(publication.bytes);
    }
    const { from, soon } = this.#batch ?? atOnce;
    const confirmation = this.#confirmations?.of(publication);
    for (const place of this.#members) {
      deliveries.members++;
      const offered = passes ? place.offerFirst(publication) : place.offer(entry, from, soon !== undefined);
      deliveries[offered]++;
      if (confirmation !== undefined) confirmation.offered(place.member, offered);
    }
    confirmation?.sent();
    if (passes || soon === undefined) told(deliveries);
    else soon.push({ deliveries, told });
    if (this.#isWhole()) this.#release();
  }

  /** The publication that the ring has got waits for further ones, where the topic wants that. */
  #gather(bytes: number): void {
    const { delayMs } = this.kind.batch;
    const from = this.ring.next - 1;
    if (delayMs > 0) {
      const cancel = this.#batch?.cancel ?? this.#clock.after(delayMs, () => this.#release());
      this.#batch ??= { from, bytes: 0, cancel, soon: undefined };
    } else if (this.#isTurn) this.#batch ??= { from, bytes: 0, cancel: nothing, soon: [] };
    else if (this.kind.overflow !== "CONFLATE") this.#beginTurn(); // Else those of one turn would be conflated.
    if (this.#batch !== undefined) this.#batch.bytes += bytes;
  }

  #beginTurn(): void {
    this.#isTurn = true;
    queueMicrotask(() => {
      this.#isTurn = false;
      this.#settle();
    });
  }

  /** Those that wait for the end of this turn wait no longer. */
  #settle(): void {
    if (this.#batch?.soon !== undefined) this.#release();
  }

  /** Whether what waits is enough: it is not to leave the ring unread either. */
  #isWhole(): boolean {
    if (this.#batch === undefined) return false;
    const { from, bytes, soon } = this.#batch;
    const { batch, ring } = this.kind;
    const count = this.ring.next - from;
    if (soon !== undefined && (count >= mostSoon || count * 2 >= ring.size || bytes >= mostSoonBytes))
      return true;
    return count >= batch.max || bytes * 2 >= ring.bytes;
  }

  /** All members read what has waited. */
  #release(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    batch.cancel();
    const { from, soon } = batch;
    if (soon === undefined) {
      for (const place of this.#members) place.wake();
      return;
    }
    const late = (number: number): void => {
      const deliveries = soon[number - from]?.deliveries;
      if (deliveries === undefined) return; // All of the batch are there.
      deliveries.sent--;
      deliveries.lagging++;
    };
    for (const place of this.#members) place.readSoon(late);
    for (const { deliveries, told } of soon) told(deliveries);
  }

  /** It is used no more. */
  close(): void {
    this.#settle();
    this.#batch?.cancel();
    this.#conflation?.close();
    this.ring.close();
  }

  /** What was kept is no more. @param top the room's position now */
  begun(top: Position, why: BegunWhy): void {
    this.#settle();
    this.#conflation?.clear(); // What waits is of the room as it was.
    this.ring.begun(top, why);
    if (this.#waiting !== undefined) for (const look of this.#waiting) look();
    for (const place of this.#members) place.wake();
  }

  #stamp({ publication, position }: RoomEntry): void {
    if (position !== undefined) this.kind.stamp(publication, position);
  }
}

function nothing(): void {}

/** No publication waits. */
const atOnce: Partial<Waiting> = Object.freeze({});

/** As selectors write it: `topic/room`, or `topic` where the room has no name. */
export function pathOf(topic: string, room: string): string {
  return room === "" ? topic : `${topic}/${room}`;
}
