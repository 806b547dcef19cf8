import type { Position } from "./position.ts";
import type { RoomEntry } from "./publication.ts";
import type { Ring } from "./ring.ts";

/** Publications that were kept, behind a position. */
export interface HistoryPage {
  readonly entries: readonly RoomEntry[];
  /** Whether nothing is missing between the position and the first entry. */
  readonly complete: boolean;
}

/** What the bus knows of a room. */
export interface HistorySource {
  /** Reads what was kept. */
  readPage(after: Position | undefined, limit: number): Promise<HistoryPage>;
  /** Where the bus says that the room stands; undefined where it cannot say so. */
  readTop(): Promise<Position | undefined>;
}

/** Everything behind a position: what is not in the ring, then what is there from a number on. */
export interface Following {
  readonly entries: readonly RoomEntry[];
  readonly number: number;
}

const pageSize = 100;

/**
 * What was published in a room, from a position on: from the ring, and what is not there from the bus. All that ask share
 * one reading at a time, of pages that begin at multiples of 100, which come into the ring as far as there is room.
 */
export class RoomHistory {
  readonly #ring: Ring;
  readonly #source: HistorySource;
  /** It is asked once for all that want to know at a time. */
  #top: Promise<Position | undefined> | undefined;
  #reading: { readonly from: number; readonly page: Promise<HistoryPage> } | undefined;

  constructor(ring: Ring, source: HistorySource) {
    this.#ring = ring;
    this.#source = source;
  }

  /** As `readTop` of the source. Never rejects. */
  top(): Promise<Position | undefined> {
    this.#top ??= this.#source
      .readTop()
      .catch(() => undefined) // The bus is away: then this node knows as much as there is to know.
      .finally(() => {
        this.#top = undefined;
      });
    return this.#top;
  }

  /**
   * @param most the most publications that are asked for
   * @returns what follows a position; `lost` where not all of it was kept, `many` where it is more
   */
  async after({ epoch, offset }: Position, most: number): Promise<Following | "lost" | "many"> {
    const entries: RoomEntry[] = [];
    let reached = offset;
    for (;;) {
      const number = this.#inRing(epoch, reached);
      if (number === "lost") return "lost";
      if (number !== undefined) {
        if (entries.length + this.#ring.next - number > most) return "many";
        this.#ring.prepend(entries);
        return { entries, number };
      }
      const page = await this.#page(epoch, reached);
      if (typeof this.#inRing(epoch, reached) === "number") continue; // Another member has had the page before.
      const before = reached;
      const { floor } = this.#ring;
      for (const entry of page.entries) {
        const next = entry.position?.offset ?? 0;
        if (next <= reached || next > floor) continue;
        entries.push(entry);
        reached = next;
      }
      // Numbers may have holes: behind the last one up to the floor there may be nothing.
      const last = page.entries.at(-1)?.position?.offset ?? 0;
      if (page.complete && (last > floor || page.entries.length < pageSize))
        reached = Math.max(reached, floor);
      if (!page.complete || reached === before) return "lost";
      if (entries.length > most) return "many";
    }
  }

  /** The last publications that were kept, at most so many, and what follows them. */
  async last(count: number): Promise<Following> {
    const { top, next: number } = this.#ring;
    if (count === 0) return { entries: [], number };
    const from = { epoch: top.epoch, offset: Math.max(0, top.offset - count) };
    const following = await this.after(from, Number.POSITIVE_INFINITY);
    const found =
      typeof following === "string"
        ? (await this.#source.readPage(from, count)).entries
        : [...following.entries, ...this.#between(following.number, number)];
    const entries = found.filter(({ position }) => isUpTo(position, top));
    // Numbers may have holes: then there are more before.
    const isShort = entries.length < count && from.offset > 0;
    return { entries: isShort ? (await this.#allUpTo(top)).slice(-count) : entries, number };
  }

  /** Everything that was kept, up to a position. */
  async #allUpTo(top: Position): Promise<readonly RoomEntry[]> {
    const all: RoomEntry[] = [];
    let after: Position | undefined;
    for (;;) {
      const { entries } = await this.#source.readPage(after, pageSize);
      all.push(...entries.filter(({ position }) => isUpTo(position, top)));
      after = entries.at(-1)?.position;
      if (entries.length < pageSize || after === undefined || !isUpTo(after, top)) return all;
    }
  }

  /** The last publication of each key that was kept, and what follows them. */
  async latestByKey(): Promise<Following> {
    const { top, next: number } = this.#ring;
    const latest = new Map<string, RoomEntry>();
    for (const entry of await this.#allUpTo(top)) {
      const { key } = entry.publication;
      if (key === undefined) continue;
      latest.delete(key); // It goes to the end.
      latest.set(key, entry);
    }
    return { entries: [...latest.values()], number };
  }

  #between(from: number, until: number): RoomEntry[] {
    const entries: RoomEntry[] = [];
    for (let number = from; number < until; number++) {
      const entry = this.#ring.at(number)?.entry;
      if (entry?.position !== undefined) entries.push(entry);
    }
    return entries;
  }

  /** The number behind an offset; undefined where the ring does not reach as far back. */
  #inRing(epoch: string, offset: number): number | "lost" | undefined {
    const { top } = this.#ring;
    if (top.epoch !== epoch || offset > top.offset) return "lost";
    return this.#ring.numberAfter(offset);
  }

  /** What follows an offset; it may begin earlier. */
  async #page(epoch: string, offset: number): Promise<HistoryPage> {
    const from = offset - (offset % pageSize);
    while (this.#reading !== undefined && this.#reading.from !== from) {
      await this.#reading.page.catch(() => undefined); // It is for those that have asked for it.
    }
    const { entries, complete } = await this.#shared(epoch, from);
    const first = entries[0]?.position?.offset;
    if (complete || (first !== undefined && offset >= first - 1)) return { entries, complete: true };
    return from === offset ? { entries, complete } : this.#shared(epoch, offset);
  }

  #shared(epoch: string, from: number): Promise<HistoryPage> {
    if (this.#reading?.from === from) return this.#reading.page;
    const page = this.#source.readPage({ epoch, offset: from }, pageSize);
    const reading = { from, page };
    this.#reading = reading;
    const over = (): void => {
      if (this.#reading === reading) this.#reading = undefined;
    };
    page.then(over, over);
    return page;
  }
}

function isUpTo(position: Position | undefined, top: Position): boolean {
  return position !== undefined && position.epoch === top.epoch && position.offset <= top.offset;
}
