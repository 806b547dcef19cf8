import { type Position, randomName } from "../../room/position.ts";
import type { HistoryBounds } from "../bus.ts";
import { RecentIds } from "../recent-ids.ts";

/** A publication that is kept, as its publisher has written it. */
export interface KeptRecord {
  readonly offset: number;
  readonly record: Uint8Array;
}

/** A part of what is kept of a room. */
export interface RecordPage {
  readonly records: readonly KeptRecord[];
  readonly top: Position;
  /** Whether nothing is missing between the position that was asked for and the first record. */
  readonly complete: boolean;
  /** Whether there are more, which were too many bytes for this page. */
  readonly isCut: boolean;
}

/** What is kept of a room, on its way to another process. Times are milliseconds from now on. */
export interface RoomCopy {
  readonly room: string;
  readonly epoch: string;
  readonly top: number;
  /** Publications without a position. */
  readonly live: number;
  readonly ttlMs: number;
  readonly idleMs: number;
  readonly kept: readonly (KeptRecord & { readonly bytes: number; readonly ageMs: number })[];
  readonly ids: readonly { readonly id: string; readonly offset: number; readonly leftMs: number }[];
}

interface Kept extends KeptRecord {
  /** Size of its message. */
  readonly bytes: number;
  readonly atMs: number;
}

/** How long the number of a room outlives its last publication, at least, in milliseconds. */
const shortestMs = 3_600_000;
/** The most bytes of a page, unless it has one record. */
const pageBytes = 128 * 1024;

/** A room that this process owns: its numbers, and what is kept of it. */
export class OwnedRoom {
  readonly #room: string;
  readonly #ids = new RecentIds<number>();
  #epoch = randomName();
  #top = 0;
  #live = 0;
  #kept: Kept[] = [];
  #bytes = 0;
  #ttlMs = 0;
  #touchedMs: number;

  constructor(room: string, nowMs: number) {
    this.#room = room;
    this.#touchedMs = nowMs;
  }

  /** What another process has owned. */
  static of(copy: RoomCopy, nowMs: number): OwnedRoom {
    const owned = new OwnedRoom(copy.room, nowMs - copy.idleMs);
    owned.#epoch = copy.epoch;
    owned.#top = copy.top;
    owned.#live = copy.live;
    owned.#ttlMs = copy.ttlMs;
    owned.#kept = copy.kept.map(({ ageMs, ...kept }) => ({ ...kept, atMs: nowMs - ageMs }));
    owned.#bytes = copy.kept.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { id, offset, leftMs } of copy.ids) owned.#ids.add(id, offset, nowMs, leftMs);
    return owned;
  }

  get top(): Position {
    return { epoch: this.#epoch, offset: this.#top };
  }

  /** The number of a publication without a position. */
  nextLive(nowMs: number): number {
    this.#touchedMs = nowMs;
    return ++this.#live;
  }

  /** Where an id was published; undefined for a new one. */
  find(id: string, nowMs: number): Position | undefined {
    const offset = this.#ids.find(id, nowMs);
    return offset === undefined ? undefined : { epoch: this.#epoch, offset };
  }

  /** Numbers a publication and keeps it. @param bytes size of its message */
  add(record: Uint8Array, bytes: number, bounds: HistoryBounds, nowMs: number): Position {
    this.#touchedMs = nowMs;
    this.#ttlMs = bounds.ttlMs;
    this.#kept.push({ offset: ++this.#top, record, bytes, atMs: nowMs });
    this.#bytes += bytes;
    let over = 0;
    let left = this.#bytes;
    for (const oldest of this.#kept) {
      if (this.#kept.length - over <= bounds.size && left <= bounds.bytes) break;
      left -= oldest.bytes;
      over++;
    }
    this.#drop(over);
    this.expire(nowMs);
    return this.top;
  }

  /** The id of the last publication is known for a time. */
  remember(id: string, nowMs: number, keepMs: number): void {
    this.#ids.add(id, this.#top, nowMs, keepMs);
  }

  read(after: Position | undefined, limit: number, nowMs: number): RecordPage {
    this.#touchedMs = nowMs;
    this.expire(nowMs);
    const { top } = this;
    if (after !== undefined && (after.epoch !== this.#epoch || after.offset > this.#top)) {
      return { records: [], top, complete: false, isCut: false };
    }
    const oldest = this.#kept[0]?.offset ?? this.#top + 1; // Offsets have no holes here.
    const from = after === undefined ? 0 : Math.max(0, after.offset + 1 - oldest);
    const records: KeptRecord[] = [];
    let bytes = 0;
    for (const { offset, record } of this.#kept.slice(from, from + limit)) {
      if (records.length > 0 && bytes + record.byteLength > pageBytes) break;
      bytes += record.byteLength;
      records.push({ offset, record });
    }
    const isCut = records.length < Math.min(limit, this.#kept.length - from);
    return { records, top, complete: after === undefined || after.offset >= oldest - 1, isCut };
  }

  clear(nowMs: number): void {
    this.#epoch = randomName();
    this.#top = 0;
    this.#kept = [];
    this.#bytes = 0;
    this.#touchedMs = nowMs;
    this.#ids.forget(Number.POSITIVE_INFINITY);
  }

  /** Drops what is too old. @returns whether the room is to be kept */
  expire(nowMs: number): boolean {
    this.#ids.forget(nowMs);
    const fresh = this.#kept.findIndex(({ atMs }) => atMs + this.#ttlMs > nowMs);
    this.#drop(fresh === -1 ? this.#kept.length : fresh);
    return this.#touchedMs + Math.max(10 * this.#ttlMs, shortestMs) > nowMs;
  }

  /** Everything of it, for another process. */
  copy(nowMs: number): RoomCopy {
    this.expire(nowMs);
    return {
      room: this.#room,
      epoch: this.#epoch,
      top: this.#top,
      live: this.#live,
      ttlMs: this.#ttlMs,
      idleMs: nowMs - this.#touchedMs,
      kept: this.#kept.map(({ offset, record, bytes, atMs }) => ({
        ...{ offset, record, bytes },
        ageMs: nowMs - atMs,
      })),
      ids: [...this.#ids.known(nowMs)].map(({ id, value: offset, leftMs }) => ({ id, offset, leftMs })),
    };
  }

  #drop(count: number): void {
    if (count === 0) return;
    for (const { bytes } of this.#kept.splice(0, count)) this.#bytes -= bytes;
  }
}
