import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import { type Position, randomName } from "../room/position.ts";
import type { Bus, BusNode, BusPage, BusPublication, BusReceipt, RoomSeen, TopicKeeping } from "./bus.ts";
import { RecentIds } from "./recent-ids.ts";
import { isUnknownOutcome } from "./unknown-outcome.ts";

/** A room that is subscribed to. */
interface LocalRoom {
  /** Whether the bus knows that it is subscribed to. */
  isSubscribed: boolean;
  /** Whether something was done here that other nodes do not know of: its members are reset when the bus is back. */
  isApart: boolean;
  /** Where it stands, as far as this node has seen; undefined for a room without positions. */
  last: Position | undefined;
}

/**
 * A bus by which this node goes on by itself while the bus inside cannot be reached: publications reach the members here,
 * without positions, and rooms are joined as they are known here. When the bus is back, the members of rooms in which that
 * has happened are reset, and then get what they have missed.
 *
 * ```
 *            the bus is down                    something is published, or a room is opened
 *   joined ─────────────────▶ going on ──────────────────────────────────────────────────▶ apart
 *      ▲                          │ the bus is back                                           │
 *      └──────────────────────────┴────────── the bus is back: reset `BUS`, then what follows ┘
 * ```
 */
export class LocalWhenDown implements Bus {
  readonly name: string;
  readonly maxMessageBytes: number;
  readonly isShared: boolean;
  readonly ignoresSignal: boolean;
  readonly #bus: Bus;
  readonly #rooms = new Map<string, LocalRoom>();
  /** Ids that were published while the bus was away. */
  readonly #ids = new RecentIds<true>();
  #node: BusNode | undefined;
  #isUp = true;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.name = bus.name;
    this.maxMessageBytes = bus.maxMessageBytes;
    this.isShared = bus.isShared;
    this.ignoresSignal = bus.ignoresSignal === true;
  }

  async start(node: BusNode): Promise<void> {
    this.#node = node;
    await this.#bus.start({
      ...node,
      published: (room, entry, previous) => {
        const known = this.#rooms.get(room);
        const { position } = entry;
        if (known !== undefined && position !== undefined) {
          const { epoch, offset } = position;
          if (known.isApart) this.#join(room, known, { epoch, offset: previous ?? offset - 1 });
          known.last = position;
        }
        node.published(room, entry, previous);
      },
      begun: (room, top, why) => {
        const known = this.#rooms.get(room);
        if (known !== undefined) {
          known.last = top;
          known.isApart = false;
        }
        node.begun(room, top, why);
      },
      busIs: (isUp) => this.#busIs(isUp),
    });
  }

  async close(): Promise<void> {
    this.#rooms.clear();
    await this.#bus.close();
  }

  keep(topic: string, keeping: TopicKeeping): void {
    this.#bus.keep?.(topic, keeping);
  }

  async publish(publication: BusPublication, signal: AbortSignal): Promise<BusReceipt> {
    if (!this.#isUp) return this.#publishHere(publication);
    try {
      return await this.#bus.publish(publication, signal);
    } catch (reason) {
      // What may have been published already is not published once more.
      if (isAway(reason) && !isUnknownOutcome(reason) && !this.#isUp) return this.#publishHere(publication);
      throw reason;
    }
  }

  async subscribe(rooms: readonly string[]): Promise<void> {
    const isSubscribed = await this.#orHere(
      async () => {
        await this.#bus.subscribe(rooms);
        return true;
      },
      () => false,
    );
    for (const room of rooms) {
      this.#rooms.set(room, { isSubscribed, isApart: !isSubscribed, last: this.#rooms.get(room)?.last });
    }
    if (!isSubscribed && this.#isUp) await this.#rejoin();
  }

  async unsubscribe(rooms: readonly string[]): Promise<void> {
    for (const room of rooms) this.#rooms.delete(room);
    await this.#bus.unsubscribe(rooms);
  }

  read(room: string, after: Position | undefined, limit: number): Promise<BusPage> {
    return this.#orHere(
      () => this.#bus.read(room, after, limit),
      () => ({ entries: [], top: this.#topOf(room), complete: false }),
    );
  }

  tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]> {
    return this.#orHere(
      async () => {
        const tops = await this.#bus.tops(rooms);
        for (const [place, { room }] of rooms.entries()) {
          const known = this.#rooms.get(room);
          if (known !== undefined) known.last ??= tops[place];
        }
        return tops;
      },
      () => rooms.map(({ room }) => this.#topOf(room)),
    );
  }

  cast(node: string, frame: Uint8Array): Promise<void> {
    return this.#bus.cast(node, frame);
  }

  cursor(key: string, set?: Position, ttlMs?: number): Promise<Position | undefined> {
    return this.#bus.cursor(key, set, ttlMs);
  }

  clear(room: string): Promise<void> {
    return this.#bus.clear(room);
  }

  #busIs(isUp: boolean): void {
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    this.#node?.busIs(isUp);
    if (isUp) this.#rejoin().catch(() => {}); // It is away again: this follows when it is back.
  }

  /** The bus is back: rooms that were opened meanwhile are subscribed to, and members of those that were apart are reset. */
  async #rejoin(): Promise<void> {
    const late = [...this.#rooms].filter(([, { isSubscribed }]) => !isSubscribed).map(([room]) => room);
    if (late.length > 0) await this.#bus.subscribe(late);
    for (const room of late) {
      const known = this.#rooms.get(room);
      if (known !== undefined) known.isSubscribed = true;
    }
    const apart = [...this.#rooms].filter(([, { isApart }]) => isApart);
    const tops = await this.#bus.tops(apart.map(([room, { last }]) => ({ room, seen: last })));
    for (const [place, [room, known]] of apart.entries()) {
      const top = tops[place];
      if (this.#rooms.get(room) !== known || !known.isApart || top === undefined) continue;
      // What is behind the last one that was seen is about to come.
      const { last } = known;
      const isSeen = last !== undefined && last.epoch === top.epoch && last.offset <= top.offset;
      this.#join(room, known, isSeen ? last : top);
    }
  }

  #join(room: string, known: LocalRoom, top: Position): void {
    known.isApart = false;
    known.last = top;
    this.#node?.begun(room, top, "BUS");
  }

  #publishHere({ room, publication, dedupeMs }: BusPublication): BusReceipt {
    const node = this.#node;
    if (node === undefined) throw new ConnectError("the hub has not started", Code.Unavailable);
    const nowMs = node.clock.nowMs();
    if (dedupeMs > 0) {
      const key = `${room} ${publication.id}`;
      if (this.#ids.find(key, nowMs) !== undefined) return { position: undefined, duplicate: true };
      this.#ids.add(key, true, nowMs, dedupeMs);
    }
    const known = this.#rooms.get(room);
    if (known !== undefined) known.isApart = true;
    const { ttlMs } = publication;
    const untilMs = ttlMs === undefined ? undefined : nowMs + ttlMs;
    node.published(room, { publication, position: undefined, untilMs });
    return { position: undefined, duplicate: false };
  }

  /**
   * Where a room stands that cannot be asked for: what is published there meanwhile changes nothing of that.
   *
   * @throws ConnectError UNAVAILABLE for a room that was not joined here
   */
  #topOf(room: string): Position {
    const known = this.#rooms.get(room);
    if (known === undefined)
      throw new ConnectError(
        `the bus of the hub cannot be reached, and ${room} is not known`,
        Code.Unavailable,
      );
    known.isApart = true; // Its members may have missed something that is not known here.
    known.last ??= { epoch: randomName(), offset: 0 };
    return known.last;
  }

  async #orHere<T>(work: () => Promise<T>, here: () => T): Promise<T> {
    if (!this.#isUp) return here();
    try {
      return await work();
    } catch (reason) {
      if (isAway(reason) && !this.#isUp) return here();
      throw reason;
    }
  }
}

function isAway(reason: unknown): boolean {
  return toCallError(reason).code === Code.Unavailable;
}
