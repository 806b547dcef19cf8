import type { Position } from "../../room/position.ts";
import type { Publication, RoomEntry } from "../../room/publication.ts";
import type { BusNode, BusPage } from "../bus.ts";
import type { OwnPublications } from "../own-publications.ts";
import { SubscribedRoom } from "../subscribed-room.ts";
import type { WorkerFrame } from "./worker-frame.ts";

/** With what it is heard of rooms. */
export interface HeardRoomsInit {
  readonly node: BusNode;
  /** Publications of this node that are under way. */
  readonly own: OwnPublications;
  /** Whether a process is a member still. */
  readonly isThere: (member: number) => boolean;
  readonly read: (room: string, after: Position | undefined, limit: number) => Promise<BusPage>;
  readonly tops: (rooms: readonly string[]) => Promise<readonly Position[]>;
}

/** When it is looked again for what had not come, in milliseconds. */
const againMs = 1_000;

/** The rooms that this node has subscribed to, made whole: what their owners tell, and what is read of what has not come. */
export class HeardRooms {
  readonly #init: HeardRoomsInit;
  readonly #rooms = new Map<string, SubscribedRoom>();
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(init: HeardRoomsInit) {
    this.#init = init;
  }

  find(room: string): SubscribedRoom | undefined {
    return this.#rooms.get(room);
  }

  add(rooms: readonly string[]): void {
    const { node, read } = this.#init;
    for (const room of rooms)
      if (!this.#rooms.has(room)) this.#rooms.set(room, new SubscribedRoom(room, node, read));
  }

  delete(rooms: readonly string[]): void {
    for (const room of rooms) this.#rooms.delete(room);
  }

  /** What has not come is looked for from now on. */
  start(): void {
    this.#checkIn(this.#init.node.checkMs ?? 10_000);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#rooms.clear();
  }

  /** The owner of a room has said what has come of it. @param from the owner */
  told(from: number, frame: Extract<WorkerFrame, { readonly kind: "told" | "cleared" }>): void {
    const subscribed = this.#rooms.get(frame.room);
    if (subscribed === undefined) return;
    const { node, own, isThere } = this.#init;
    const { feed } = subscribed;
    if (frame.kind === "cleared") {
      feed.begun(frame.top);
      node.begun(frame.room, frame.top, "CLEARED");
      return;
    }
    const { room, record, position, live } = frame;
    const publication = frame.node === node.id ? own.take(frame.number) : undefined;
    const [entry] = this.entryOf(room, record, position, publication);
    if (position === undefined) {
      if (!subscribed.isLiveNext(String(from), live)) this.#lost(room, feed.last);
      if (entry !== undefined) feed.told(entry, undefined);
      return;
    }
    // What a worker has said that is dead by now comes late: the room has begun anew since.
    const isLate = !isThere(from) && feed.last !== undefined && feed.last.epoch !== position.epoch;
    if (entry !== undefined && !isLate) feed.told(entry, position.offset - 1);
  }

  /** The publication of a record as an entry; none for one that cannot be read. @param own where it is of this node */
  entryOf(
    room: string,
    record: Uint8Array,
    position: Position | undefined,
    own?: Publication,
  ): readonly RoomEntry[] {
    const { node } = this.#init;
    if (own !== undefined) {
      const untilMs = own.ttlMs === undefined ? undefined : node.clock.nowMs() + own.ttlMs;
      return [{ publication: own, position, untilMs }];
    }
    const read = node.form.read(topicOf(room), record);
    if (read === undefined) {
      node.did?.("frame", undefined);
      return [];
    }
    return [{ publication: read.publication, position, untilMs: read.untilMs }];
  }

  /** Looks for what has not come. Never rejects. */
  async check(): Promise<void> {
    const numbered = [...this.#rooms].filter(([, { feed }]) => feed.last !== undefined);
    if (numbered.length === 0) return;
    try {
      const tops = await this.#init.tops(numbered.map(([room]) => room));
      for (const [place, [, room]] of numbered.entries()) {
        const top = tops[place];
        if (top !== undefined) room.looked(top);
      }
    } catch {
      // An owner does not answer: it is looked for later.
    }
  }

  /** Publications without positions are missing. */
  #lost(room: string, top: Position = { epoch: "", offset: 0 }): void {
    this.#init.node.gap?.(room, "lost");
    this.#init.node.begun(room, top, "BUS");
  }

  /** What has not come is looked for, and looked for again soon: it may be on its way at first. */
  #checkIn(ms: number, isAgain = false): void {
    const { clock, checkMs = 10_000 } = this.#init.node;
    const checkOnce = async (): Promise<void> => {
      await this.check();
      if (!this.#isClosed) this.#checkIn(isAgain ? checkMs : Math.min(againMs, checkMs), !isAgain);
    };
    this.#cancel = clock.after(ms, () => void checkOnce(), false);
  }
}

/** @param room its path */
export function topicOf(room: string): string {
  return room.split("/", 1)[0] ?? "";
}
