import type { Position } from "./position.ts";
import type { RoomEntry } from "./publication.ts";

/** How much a ring keeps; both bound it. */
export interface RingBounds {
  /** Publications. */
  readonly size: number;
  /** Bytes of their messages. */
  readonly bytes: number;
}

/** Why a room has begun anew. */
export type BegunWhy = "BUS" | "CLEARED";

/** What stands at one number of a ring: a publication, or that the room has begun anew there. */
export interface RingItem {
  readonly entry: RoomEntry | undefined;
  readonly begun: BegunWhy | undefined;
  /** Of the last publication with a position up to here. */
  readonly offset: number;
  readonly epoch: string;
  /** How many publications without a position there were up to here, in a room that has positions. */
  readonly unkept: number;
}

/** Rings that share a limit of bytes. Over it the largest ones lose their oldest publications. */
export class RingBudget {
  readonly #rings = new Set<Ring>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  join(ring: Ring): void {
    this.#rings.add(ring);
  }

  leave(ring: Ring): void {
    if (this.#rings.delete(ring)) this.#bytes -= ring.bytes;
  }

  /** @param bytes by how many a ring has grown */
  grown(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#maxBytes) return;
    // To nine tenths, so that rings are not sorted for every publication.
    const largest = [...this.#rings].sort((a, b) => b.bytes - a.bytes);
    for (const [place, ring] of largest.entries()) {
      const over = this.#bytes - this.#maxBytes * 0.9;
      if (over <= 0) return;
      const next = largest[place + 1]?.bytes ?? 0;
      ring.shrink(Math.max(next, ring.bytes - over));
    }
  }
}

const none: readonly number[] = Object.freeze([]);

/** How many beginnings are remembered. */
const mostBeginnings = 16;

/** A number from which publications can be added in front, too. */
const firstNumber = 2 ** 20;

/**
 * The last publications of a room: its history in this process, which members read at their own pace. Each has a number
 * here, which follows that of the one before without a hole.
 */
export class Ring {
  readonly #bounds: RingBounds;
  readonly #budget: RingBudget | undefined;
  #items: (RingItem | undefined)[] = [];
  /** Place of the oldest one in `#items`. */
  #head = 0;
  #next = firstNumber;
  #bytes = 0;
  #epoch = "";
  #top = 0;
  #unkept = 0;
  /** Everything of the epoch behind this offset is in the ring. */
  #floor = 0;
  /** Number from which items are of the epoch. */
  #epochFrom = firstNumber;
  /** Numbers at which the room has begun anew, the last ones. */
  #beginnings: readonly number[] = none;
  /** Numbers of the last publications of keys; undefined until there is one with a key. */
  #latest: Map<string, number> | undefined;
  /** Number of the last publication that was dropped, and was the last one of its key or had none. */
  #lastLoss = -1;

  /** @param budget Default: none */
  constructor(bounds: RingBounds, budget?: RingBudget) {
    this.#bounds = bounds;
    this.#budget = budget;
    budget?.join(this);
  }

  /** Number of the publication that comes next. */
  get next(): number {
    return this.#next;
  }

  /** Number of the oldest publication that is there; `next` where none is. */
  get oldest(): number {
    return this.#next - (this.#items.length - this.#head);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The last position; its epoch is empty in a room without positions. */
  get top(): Position {
    return { epoch: this.#epoch, offset: this.#top };
  }

  /** How many publications without a position there were. */
  get unkept(): number {
    return this.#unkept;
  }

  /** Everything of the epoch behind this offset is here. */
  get floor(): number {
    return this.#floor;
  }

  /** The room's position when it was subscribed to. Publications may have come before. */
  opened(top: Position): void {
    if (this.#epoch !== "") return; // What has come meanwhile says more: the room may have begun anew since.
    this.#epoch = top.epoch;
    this.#top = this.#floor = top.offset;
    this.#epochFrom = this.#next;
  }

  add(entry: RoomEntry): void {
    const { position } = entry;
    if (position !== undefined) {
      if (position.epoch !== this.#epoch) {
        this.#epoch = position.epoch;
        this.#floor = position.offset - 1;
        this.#epochFrom = this.#next;
      }
      this.#top = position.offset;
    } else {
      this.#unkept++;
    }
    this.#push(this.#item(entry, undefined), entry.publication.bytes);
  }

  /** The room has begun anew. */
  begun(top: Position, why: BegunWhy): void {
    this.#epoch = top.epoch;
    this.#top = this.#floor = top.offset;
    this.#epochFrom = this.#next;
    this.#beginnings = [...this.#beginnings, this.#next].slice(-mostBeginnings);
    this.#push(this.#item(undefined, why), 0);
  }

  /** Older publications of the epoch, all of those behind the first one up to the oldest here: as many as there is room for. */
  prepend(entries: readonly RoomEntry[]): void {
    if (this.oldest !== this.#epochFrom) return; // Something of the epoch is lost already, or another one is here.
    const before: RingItem[] = [];
    let bytes = 0;
    let count = this.#items.length - this.#head;
    const oldest = this.#items[this.#head];
    const unkept = oldest === undefined ? this.#unkept : unkeptBefore(oldest);
    for (const entry of entries.toReversed()) {
      const { position, publication } = entry;
      bytes += publication.bytes;
      if (position === undefined || ++count > this.#bounds.size || this.#bytes + bytes > this.#bounds.bytes)
        break;
      const { offset, epoch } = position;
      before.unshift({ entry, begun: undefined, offset, epoch, unkept });
    }
    const [first] = before;
    if (first === undefined) return;
    this.#items = [...before, ...this.#items.slice(this.#head)];
    this.#head = 0;
    this.#epochFrom -= before.length;
    this.#floor = first.offset - 1;
    const added = before.reduce((sum, { entry }) => sum + (entry?.publication.bytes ?? 0), 0);
    this.#bytes += added;
    this.#budget?.grown(added);
  }

  /** How many publications there were from a number up to the oldest that is there. */
  missedFrom(number: number): number {
    const { oldest } = this;
    return oldest - number - this.#beginnings.filter((begun) => begun >= number && begun < oldest).length;
  }

  /** Whether there is a later publication of the same key than that of a number. */
  isOutdated(number: number, key: string | undefined): boolean {
    return key !== undefined && (this.#latest?.get(key) ?? number) > number;
  }

  /** Whether a publication from a number on was dropped that was the last one of its key. */
  hasLost(number: number): boolean {
    return this.#lastLoss >= number;
  }

  /** What stands at a number; undefined where it is there no more, or not yet. */
  at(number: number): RingItem | undefined {
    const place = number - this.oldest;
    return place < 0 ? undefined : this.#items[this.#head + place];
  }

  /** What stands at the number before `next`; undefined where there is nothing. */
  get last(): RingItem | undefined {
    return this.#items[this.#items.length - 1];
  }

  /** The number of the first publication behind an offset of the epoch; undefined where not all of them are here. */
  numberAfter(offset: number): number | undefined {
    if (offset < this.#floor || offset > this.#top) return undefined;
    let low = Math.max(this.oldest, this.#epochFrom);
    let high = this.#next;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.at(middle)?.offset ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Drops the oldest ones until there are at most so many bytes. */
  shrink(bytes: number): void {
    while (this.#bytes > bytes && this.#head < this.#items.length) this.#drop();
  }

  /** The ring is used no more. */
  close(): void {
    this.#budget?.leave(this);
  }

  #item(entry: RoomEntry | undefined, begun: BegunWhy | undefined): RingItem {
    return { entry, begun, offset: this.#top, epoch: this.#epoch, unkept: this.#unkept };
  }

  #push(item: RingItem, bytes: number): void {
    this.#items.push(item);
    const key = item.entry?.publication.key;
    if (key !== undefined) (this.#latest ??= new Map<string, number>()).set(key, this.#next);
    this.#next++;
    this.#bytes += bytes;
    const { size, bytes: maxBytes } = this.#bounds;
    while (this.#items.length - this.#head > size || (this.#bytes > maxBytes && this.#next - this.oldest > 1))
      this.#drop();
    this.#budget?.grown(bytes);
  }

  #drop(): void {
    const number = this.oldest;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    const key = item?.entry?.publication.key;
    if (!this.isOutdated(number, key)) {
      this.#lastLoss = number;
      if (key !== undefined) this.#latest?.delete(key);
    }
    const bytes = item?.entry?.publication.bytes ?? 0;
    this.#bytes -= bytes;
    this.#budget?.grown(-bytes);
    if (item?.entry?.position !== undefined && item.epoch === this.#epoch) this.#floor = item.offset;
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** How many publications without a position there were before an item. */
export function unkeptBefore({ entry, unkept }: RingItem): number {
  return entry !== undefined && entry.position === undefined ? unkept - 1 : unkept;
}
