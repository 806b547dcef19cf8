import type { Position } from "../room/position.ts";
import type { RoomEntry } from "../room/publication.ts";
import type { BusNode, BusPage } from "./bus.ts";
import { RoomFeed } from "./room-feed.ts";

type Read = (room: string, after: Position | undefined, limit: number) => Promise<BusPage>;

/** Of how many publications the ids are remembered. */
const mostIds = 256;

/** A room whose channel a node has subscribed to: what comes is made whole by its feed. */
export class SubscribedRoom {
  readonly feed: RoomFeed;
  /** Ids of the last publications that were passed on. */
  #ids: string[] = [];
  /** The last number of publications without positions, of each node. */
  readonly #live = new Map<string, number>();
  /** Where it stood when something was found that had not come. */
  #missingAt: number | undefined;

  constructor(room: string, node: BusNode, read: Read) {
    this.feed = new RoomFeed({
      published: (entry, previous) => {
        this.#passed(entry);
        node.published(room, entry, previous);
      },
      begun: (top) => node.begun(room, top, "BUS"),
      read: async (after, limit) => {
        const page = await read(room, after, limit);
        return after === undefined ? { ...page, entries: this.#unknown(page) } : page;
      },
      gap: (outcome) => node.gap?.(room, outcome),
    });
  }

  /** Whether a publication was passed on, as far as is remembered. */
  isKnown({ publication: { id } }: RoomEntry): boolean {
    return this.#ids.includes(id);
  }

  /** Whether nothing is missing in front of a publication without a position. */
  isLiveNext(node: string, number: number): boolean {
    const last = this.#live.get(node);
    this.#live.set(node, number);
    return last === undefined || number <= last + 1; // The node has begun to count anew.
  }

  /** Reads what was published since the last one that has come. */
  readonly catchUp = (): void => {
    this.feed.catchUp().catch(() => {}); // The bus is away: the room is read when it is back.
  };

  /** The room stands at `top` in Redis. What has not come when it is looked for twice is read. */
  looked(top: Position): void {
    const { last } = this.feed;
    if (last === undefined) return;
    const isMissing = top.epoch === last.epoch && top.offset > last.offset;
    if (top.epoch !== last.epoch || (isMissing && this.#missingAt === last.offset)) this.catchUp();
    this.#missingAt = isMissing ? last.offset : undefined;
  }

  #passed({ publication: { id }, position }: RoomEntry): void {
    if (position === undefined) return;
    this.#ids.push(id);
    if (this.#ids.length > 2 * mostIds) this.#ids = this.#ids.slice(-mostIds);
  }

  /** What is kept behind the last publication that was passed on: a new epoch begins over what is kept. */
  #unknown({ entries, top }: BusPage): readonly RoomEntry[] {
    if (top.epoch === this.feed.last?.epoch) return entries;
    return entries.slice(entries.findLastIndex((entry) => this.isKnown(entry)) + 1);
  }
}
