import type { Clock } from "../../../core/time/clock.ts";
import type { Position } from "../../room/position.ts";
import { OwnedRoom, type RoomCopy } from "./owned-room.ts";
import type { Answers, CursorCopy, Question, WorkerFrame } from "./worker-frame.ts";

/** What a process owns, with which questions are answered. */
export interface OwnedRoomsInit {
  readonly clock: Clock;
  /** All members are told, this one too. */
  readonly tell: (frame: Extract<WorkerFrame, { readonly kind: "told" | "cleared" }>) => void;
  /** A cursor was set: a second process keeps it too. */
  readonly backUp: (copy: CursorCopy) => void;
}

interface Cursor {
  readonly position: Position;
  readonly untilMs: number;
}

/** How often what is too old is looked for, in milliseconds. */
const sweepMs = 30_000;

/** The rooms and cursors of this process. It does not know whether it is the one to answer. */
export class OwnedRooms {
  readonly #init: OwnedRoomsInit;
  readonly #rooms = new Map<string, OwnedRoom>();
  /** Those that others have had, while these may still have some: they are not used yet. */
  readonly #arrived = new Map<string, OwnedRoom>();
  readonly #cursors = new Map<string, Cursor>();
  #cancel: (() => void) | undefined;

  constructor(init: OwnedRoomsInit) {
    this.#init = init;
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  /** Paths of the rooms. */
  get rooms(): readonly string[] {
    return [...this.#rooms.keys(), ...this.#arrived.keys()];
  }

  /** Keys of the cursors. */
  get cursors(): readonly string[] {
    return [...this.#cursors.keys()];
  }

  /** Does what a question asks for; rooms are made where there are none. */
  answer(question: Question): Answers[Question["kind"]] {
    const nowMs = this.#init.clock.nowMs();
    switch (question.kind) {
      case "publish":
        return this.#publish(question, nowMs);
      case "read":
        return this.#room(question.room, nowMs).read(question.after, question.limit, nowMs);
      case "tops":
        return question.rooms.map((room) => this.#room(room, nowMs).top);
      case "clear": {
        const room = this.#room(question.room, nowMs);
        room.clear(nowMs);
        this.#init.tell({ kind: "cleared", room: question.room, top: room.top });
        return undefined;
      }
      case "cursor":
        return this.#cursor(question, nowMs);
    }
  }

  /** A copy of a room; undefined where there is none. */
  copyOf(room: string): RoomCopy | undefined {
    return (this.#rooms.get(room) ?? this.#arrived.get(room))?.copy(this.#init.clock.nowMs());
  }

  copyOfCursor(key: string): CursorCopy | undefined {
    const cursor = this.#cursors.get(key);
    const leftMs = (cursor?.untilMs ?? 0) - this.#init.clock.nowMs();
    return cursor === undefined || leftMs <= 0 ? undefined : { key, position: cursor.position, leftMs };
  }

  /** What another process has owned. One that is here already is newer. */
  arrived(rooms: readonly RoomCopy[], cursors: readonly CursorCopy[]): void {
    const nowMs = this.#init.clock.nowMs();
    for (const copy of rooms)
      if (!this.#rooms.has(copy.room)) this.#arrived.set(copy.room, OwnedRoom.of(copy, nowMs));
    for (const { key, position, leftMs } of cursors)
      this.#cursors.set(key, { position, untilMs: nowMs + leftMs });
    this.#sweepLater();
  }

  /** No other process has anything of what this one owns: what has arrived is used from now on. */
  settled(): void {
    for (const [room, owned] of this.#arrived) if (!this.#rooms.has(room)) this.#rooms.set(room, owned);
    this.#arrived.clear();
  }

  dropRoom(room: string): void {
    this.#rooms.delete(room);
    this.#arrived.delete(room);
  }

  dropCursor(key: string): void {
    this.#cursors.delete(key);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#rooms.clear();
    this.#arrived.clear();
    this.#cursors.clear();
  }

  #publish(
    {
      room: path,
      record,
      id,
      bytes,
      history,
      dedupeMs,
      number,
      node,
    }: Extract<Question, { kind: "publish" }>,
    nowMs: number,
  ): Answers["publish"] {
    const room = this.#room(path, nowMs);
    const said = { kind: "told", room: path, record, node, number } as const;
    if (history === undefined) {
      this.#init.tell({ ...said, position: undefined, live: room.nextLive(nowMs) });
      return { position: undefined, duplicate: false };
    }
    const first = dedupeMs > 0 ? room.find(id, nowMs) : undefined;
    if (first !== undefined) return { position: first, duplicate: true };
    const position = room.add(record, bytes, history, nowMs);
    if (dedupeMs > 0) room.remember(id, nowMs, dedupeMs);
    this.#init.tell({ ...said, position, live: 0 });
    return { position, duplicate: false };
  }

  #cursor({ key, set, ttlMs }: Extract<Question, { kind: "cursor" }>, nowMs: number): Position | undefined {
    if (set !== undefined) {
      this.#cursors.set(key, { position: set, untilMs: nowMs + ttlMs });
      this.#init.backUp({ key, position: set, leftMs: ttlMs });
      this.#sweepLater();
    }
    const found = this.#cursors.get(key);
    return found !== undefined && found.untilMs > nowMs ? found.position : undefined;
  }

  #room(path: string, nowMs: number): OwnedRoom {
    let room = this.#rooms.get(path);
    if (room === undefined) this.#rooms.set(path, (room = new OwnedRoom(path, nowMs)));
    this.#sweepLater();
    return room;
  }

  #sweepLater(): void {
    if (this.#cancel !== undefined) return;
    this.#cancel = this.#init.clock.after(sweepMs, () => this.#sweep(), false);
  }

  #sweep(): void {
    this.#cancel = undefined;
    const nowMs = this.#init.clock.nowMs();
    for (const [path, room] of this.#rooms) if (!room.expire(nowMs)) this.#rooms.delete(path);
    for (const [key, { untilMs }] of this.#cursors) if (untilMs <= nowMs) this.#cursors.delete(key);
    if (this.#rooms.size > 0 || this.#cursors.size > 0) this.#sweepLater();
  }
}
