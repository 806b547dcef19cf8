import { Code, type ConnectError } from "../core/errors/errors.ts";
import { retryInfo } from "../core/errors/retry-info.ts";
import { refusal } from "../core/admission/refusal.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus } from "./bus/bus.ts";
import type { Position } from "./room/position.ts";
import type { Confirmations } from "./room/confirmations.ts";
import { type Deliveries, noDeliveries, type RoomEntry } from "./room/publication.ts";
import { type BegunWhy, RingBudget } from "./room/ring.ts";
import { Room, type RoomKind, type RoomsSource } from "./room/room.ts";

/** What rooms need. */
export interface RoomsInit {
  readonly bus: Bus;
  readonly clock: Clock;
  /** The most rooms; those without members make place. */
  readonly maxRooms: number;
  /** The most bytes of messages in the rings of all rooms. */
  readonly maxRingBytes: number;
  /** How long a room is kept behind its last member, in milliseconds. */
  readonly roomLingerMs: number;
  /** How long a publication is waited for that another node has announced, in milliseconds. */
  readonly countTimeoutMs: number;
  /** Those that publications wait for. */
  readonly confirmations: Confirmations;
  /** Is told what has become of each publication here, whichever node it comes from. */
  readonly delivered: (topic: string, deliveries: Deliveries) => void;
}

/** The rooms of a hub that have members, or had some a moment ago. */
export class Rooms {
  readonly #init: RoomsInit;
  readonly #budget: RingBudget;
  /** One for all rooms: each function of a room alone would be a part of what an idle one costs. */
  readonly #source: RoomsSource;
  readonly #rooms = new Map<string, Room>();
  /** Publications of other nodes, whose receipts count the members here. */
  readonly #awaited = new Map<string, (deliveries: Deliveries) => void>();
  /** Rooms that all have left, about in the order of their times; some may have members again. */
  readonly #left: Room[] = [];
  #isWaiting = false;
  #occupied = 0;

  constructor(init: RoomsInit) {
    this.#init = init;
    this.#budget = new RingBudget(init.maxRingBytes);
    const { bus } = init;
    this.#source = {
      read: (path, after, limit) => bus.read(path, after, limit),
      top: async (room) => (await bus.tops([{ room, seen: undefined }]))[0],
    };
  }

  /** Rooms with members, or with calls that are about to be. */
  get size(): number {
    return this.#occupied;
  }

  /** Bytes of messages in rings. */
  get ringBytes(): number {
    return this.#budget.bytes;
  }

  /** @param path as `pathOf` */
  find(path: string): Room | undefined {
    return this.#rooms.get(path);
  }

  /** Rooms with members, in no particular order. */
  *[Symbol.iterator](): Iterator<Room> {
    for (const room of this.#rooms.values()) if (room.size > 0) yield room;
  }

  /**
   * Holds the room of a name, made if there is none, until `release`.
   *
   * @param path as `pathOf`
   * @throws ConnectError RESOURCE_EXHAUSTED where there are too many
   */
  hold(kind: RoomKind, name: string, path: string): Room {
    let room = this.#rooms.get(path);
    if (room === undefined) {
      this.#makePlace();
      room = this.#open(kind, name);
    }
    if (room.holds++ === 0) this.#occupied++;
    return room;
  }

  /** A member, or a call that was about to be one, has left. */
  release(room: Room): void {
    if (--room.holds > 0) return;
    this.#occupied--;
    const { clock, roomLingerMs } = this.#init;
    if (this.#rooms.get(room.path) !== room) return;
    if (roomLingerMs <= 0) {
      this.#close(room);
      return;
    }
    room.untilMs = clock.nowMs() + roomLingerMs;
    if (room.queuedMs === undefined) this.#queue(room);
    this.#wait(roomLingerMs);
  }

  /** A publication has come from the bus. */
  published(path: string, entry: RoomEntry): void {
    const { publication } = entry;
    const room = this.#rooms.get(path);
    room?.deliver(entry, (deliveries) => {
      this.#init.delivered(room.topic, deliveries);
      publication.delivered?.(deliveries);
      publication.delivered = undefined;
      if (this.#awaited.size > 0) this.#awaited.get(`${path} ${publication.id}`)?.(deliveries);
    });
  }

  /** What becomes of a publication that comes next; undefined where it does not come in time. */
  async delivered(path: string, id: string): Promise<Deliveries | undefined> {
    if (!this.#rooms.has(path)) return noDeliveries();
    const { clock, countTimeoutMs } = this.#init;
    const { promise, resolve } = Promise.withResolvers<Deliveries | undefined>();
    const key = `${path} ${id}`;
    const cancel = clock.after(countTimeoutMs, () => resolve(undefined));
    this.#awaited.set(key, resolve);
    const deliveries = await promise;
    cancel();
    this.#awaited.delete(key);
    return deliveries;
  }

  begun(path: string, top: Position, why: BegunWhy): void {
    this.#rooms.get(path)?.begun(top, why);
  }

  #open(kind: RoomKind, name: string): Room {
    const { clock, confirmations } = this.#init;
    const room = new Room(kind, name, this.#budget, clock, this.#source, confirmations);
    this.#rooms.set(room.path, room);
    room.ready = this.#subscribe(room);
    room.ready.catch(() => this.#forget(room)); // The next join tries again.
    return room;
  }

  async #subscribe(room: Room): Promise<void> {
    const { bus } = this.#init;
    await bus.subscribe([room.path]);
    if (room.kind.hasHistory) {
      const [top] = await bus.tops([{ room: room.path, seen: undefined }]);
      if (top !== undefined) room.ring.opened(top);
    }
    room.isReady = true;
    room.ready = isThere;
  }

  /** Closes the rooms whose time is over. */
  #wait(ms: number): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const { clock } = this.#init;
    clock.after(
      ms,
      () => {
        this.#isWaiting = false;
        this.#closeLeft(clock.nowMs());
        const [next] = this.#left;
        if (next !== undefined) this.#wait((next.queuedMs ?? 0) - clock.nowMs());
      },
      false,
    );
  }

  #closeLeft(nowMs: number): void {
    for (let [room] = this.#left; room !== undefined; [room] = this.#left) {
      const isEmpty = room.holds === 0;
      if (isEmpty && (room.queuedMs ?? 0) > nowMs) return;
      this.#left.shift();
      room.queuedMs = undefined;
      if (isEmpty && room.untilMs > nowMs) this.#queue(room); // It had members in between.
      else if (isEmpty) this.#close(room);
    }
  }

  #queue(room: Room): void {
    room.queuedMs = room.untilMs;
    this.#left.push(room);
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED */
  #makePlace(): void {
    while (this.#rooms.size >= this.#init.maxRooms) {
      const oldest = this.#left.shift();
      if (oldest === undefined) throw tooManyRooms("there are too many rooms");
      oldest.queuedMs = undefined;
      if (oldest.holds === 0) this.#close(oldest);
    }
  }

  #close(room: Room): void {
    if (!this.#forget(room)) return;
    this.#init.bus.unsubscribe([room.path]).catch(() => {}); // A bus that is away tells nothing either.
  }

  #forget(room: Room): boolean {
    if (this.#rooms.get(room.path) !== room) return false;
    this.#rooms.delete(room.path);
    room.close();
    return true;
  }
}

/** What all rooms wait for that are ready: none keeps a promise of its own. */
const isThere = Promise.resolve();

/** RESOURCE_EXHAUSTED for a join. @param afterMs when it may be tried again, in milliseconds; undefined: not soon */
export function tooManyRooms(message: string, afterMs?: number): ConnectError {
  const details = afterMs === undefined ? [] : [retryInfo(afterMs)];
  return refusal({
    kind: "rate_limited",
    code: Code.ResourceExhausted,
    reason: "ROOM_LIMIT",
    message,
    details,
  });
}
