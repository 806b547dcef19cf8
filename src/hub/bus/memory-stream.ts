import { type Position, randomName } from "../room/position.ts";
import type { RoomEntry } from "../room/publication.ts";
import type { BusPage, HistoryBounds } from "./bus.ts";
import { RecentIds } from "./recent-ids.ts";

interface Kept {
  readonly entry: RoomEntry;
  readonly offset: number;
  readonly atMs: number;
}

/** How long the number of a room outlives its last publication, at least. */
const shortestMs = 3_600_000;

/** What is kept of one room. */
export class MemoryStream {
  readonly ids = new RecentIds<Position>();
  #epoch = randomName();
  #top = 0;
  #kept: Kept[] = [];
  #bytes = 0;
  #ttlMs = 0;
  #touchedMs: number;

  constructor(nowMs: number) {
    this.#touchedMs = nowMs;
  }

  get top(): Position {
    return { epoch: this.#epoch, offset: this.#top };
  }

  /** The position of the next publication. */
  next(): Position {
    return { epoch: this.#epoch, offset: ++this.#top };
  }

  /** Keeps the publication that has just got its position. */
  keep(entry: RoomEntry, bounds: HistoryBounds, nowMs: number): void {
    this.#touchedMs = nowMs;
    this.#ttlMs = bounds.ttlMs;
    this.#kept.push({ entry, offset: this.#top, atMs: nowMs });
    this.#bytes += entry.publication.bytes;
    let over = 0;
    let bytes = this.#bytes;
    for (const { entry: oldest } of this.#kept) {
      if (this.#kept.length - over <= bounds.size && bytes <= bounds.bytes) break;
      bytes -= oldest.publication.bytes;
      over++;
    }
    this.#drop(over);
    this.expire(nowMs);
  }

  read(after: Position | undefined, limit: number, nowMs: number): BusPage {
    this.#touchedMs = nowMs;
    this.expire(nowMs);
    const { top } = this;
    if (after !== undefined && (after.epoch !== this.#epoch || after.offset > this.#top)) {
      return { entries: [], top, complete: false };
    }
    const [first] = this.#kept;
    const oldest = first?.offset ?? this.#top + 1; // Offsets have no holes here.
    const from = after === undefined ? 0 : Math.max(0, after.offset + 1 - oldest);
    const entries = this.#kept.slice(from, from + limit).map(({ entry }) => entry);
    return { entries, top, complete: after === undefined || after.offset >= oldest - 1 };
  }

  clear(nowMs: number): void {
    this.#epoch = randomName();
    this.#top = 0;
    this.#kept = [];
    this.#bytes = 0;
    this.#touchedMs = nowMs;
    this.ids.forget(Number.POSITIVE_INFINITY);
  }

  /** Drops what is too old. @returns whether the room is to be kept */
  expire(nowMs: number): boolean {
    this.ids.forget(nowMs);
    const fresh = this.#kept.findIndex(({ atMs }) => atMs + this.#ttlMs > nowMs);
    this.#drop(fresh === -1 ? this.#kept.length : fresh);
    return this.#touchedMs + Math.max(10 * this.#ttlMs, shortestMs) > nowMs;
  }

  #drop(count: number): void {
    if (count === 0) return;
    for (const { entry } of this.#kept.splice(0, count)) this.#bytes -= entry.publication.bytes;
  }
}
