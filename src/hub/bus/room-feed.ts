import type { Position } from "../room/position.ts";
import type { RoomEntry } from "../room/publication.ts";
import type { BusPage } from "./bus.ts";

/** Is told what a room gets. */
export interface RoomFeedOwner {
  /** @param previous offset of the publication before it; undefined where that is not known, or is of another epoch */
  published(entry: RoomEntry, previous: number | undefined): void;
  /** The room goes on behind `top`, and what was before is not known to follow. */
  begun(top: Position): void;
  read(after: Position | undefined, limit: number): Promise<BusPage>;
  /** Publications were missing, and were read or are lost. */
  gap(outcome: "filled" | "lost"): void;
}

interface Told {
  readonly entry: RoomEntry;
  readonly previous: number | undefined;
}

const pageSize = 100;

/**
 * What is told of a room, made whole: each publication once, in the order of their numbers. Where one does not follow the
 * last one, what is missing is read before it is passed on, and what cannot be had makes the room begin anew.
 *
 * ```
 *              a number that does not follow, or `catchUp`
 *   passing ─────────────────────────────────────────────▶ reading
 *      ▲                                                      │
 *      └── read up to the top, what was told meanwhile too ───┘
 * ```
 */
export class RoomFeed {
  readonly #owner: RoomFeedOwner;
  /** The last publication that was passed on, or was before the first one. */
  #last: Position | undefined;
  /** What was told while something is read; undefined while nothing is. */
  #waiting: Told[] | undefined;
  #reading: Promise<void> | undefined;

  constructor(owner: RoomFeedOwner) {
    this.#owner = owner;
  }

  /** The last position that was seen. */
  get last(): Position | undefined {
    return this.#last;
  }

  /** The room's position when nothing of it was seen yet. */
  opened(top: Position): void {
    this.#last ??= top;
  }

  /** The room has begun anew, in its place among the publications. */
  begun(top: Position): void {
    this.#last = top;
    this.#waiting &&= [];
  }

  /**
   * Something was told.
   *
   * @param previous offset of the publication before it; undefined where that is not known
   */
  told(entry: RoomEntry, previous: number | undefined): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push({ entry, previous });
      return;
    }
    if (this.#pass(entry, previous)) return;
    this.#waiting = [{ entry, previous }];
    this.catchUp().catch(() => {}); // The bus is away: it is caught up with when it is back.
  }

  /** Reads what was published since the last one. @throws what `read` throws: it is to be called again then */
  catchUp(): Promise<void> {
    this.#reading ??= this.#catchUp().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** @returns whether it followed, or was passed on before */
  #pass(entry: RoomEntry, previous: number | undefined): boolean {
    const { position } = entry;
    const last = this.#last;
    if (position !== undefined && last !== undefined) {
      if (position.epoch !== last.epoch) return false;
      if (position.offset <= last.offset) return true;
      if (previous === undefined || previous > last.offset) return false;
    }
    this.#publish(entry);
    return true;
  }

  async #catchUp(): Promise<void> {
    this.#waiting ??= [];
    try {
      await this.#readOn();
      // What was told meanwhile may be behind another hole.
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        if (this.#pass(next.entry, next.previous)) continue;
        this.#waiting.unshift(next);
        await this.#readOn(next.entry.position);
      }
    } finally {
      this.#waiting = undefined; // It is read again where this has failed.
    }
  }

  /** @param until what is there at least, as it was told */
  async #readOn(until?: Position): Promise<void> {
    let last = this.#last;
    if (last === undefined) return;
    for (;;) {
      const { entries, top, complete } = await this.#owner.read(last, pageSize);
      const isLost = !complete || (until !== undefined && !reaches(top, until));
      if (isLost) {
        // Another epoch has only what came since; of this one the oldest that is there comes next.
        const whole = await this.#owner.read(undefined, pageSize);
        const first = whole.entries[0]?.position?.offset ?? whole.top.offset + 1;
        const offset = whole.top.epoch === last.epoch ? Math.max(last.offset, first - 1) : first - 1;
        this.#begin({ epoch: whole.top.epoch, offset }, whole.entries);
      } else {
        this.#passAll(entries);
        if (entries.length > 0) this.#owner.gap("filled");
      }
      const reached = this.#last;
      if (reached === undefined || reached === last) return;
      last = reached;
      if (!isLost && reached.offset >= top.offset) return;
    }
  }

  #begin(top: Position, entries: readonly RoomEntry[]): void {
    this.#owner.gap("lost");
    this.#last = top;
    this.#owner.begun(top);
    this.#passAll(entries);
  }

  #passAll(entries: readonly RoomEntry[]): void {
    for (const entry of entries) {
      const { position } = entry;
      const last = this.#last;
      if (position === undefined || (last?.epoch === position.epoch && position.offset <= last.offset))
        continue;
      this.#publish(entry);
    }
  }

  #publish(entry: RoomEntry): void {
    const { position } = entry;
    const last = this.#last;
    if (position !== undefined) this.#last = position;
    this.#owner.published(entry, last?.epoch === position?.epoch ? last?.offset : undefined);
  }
}

function reaches(top: Position, until: Position): boolean {
  return top.epoch === until.epoch && top.offset >= until.offset;
}
