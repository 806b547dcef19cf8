import type { Position } from "../../room/position.ts";

interface Seen {
  epoch: string;
  /** When the epoch has begun, by the clock of Redis. */
  time: number;
  offset: number;
}

/** For how many rooms it is known where they stand. */
const mostRooms = 100_000;

/** Where rooms stand as far as this node has seen: Redis begins a new epoch where it has less, or an older one. */
export class SeenRooms {
  readonly #rooms = new Map<string, Seen>();

  /** A room stands there. */
  note(room: string, epoch: string, time: number, offset: number): Position {
    const known = this.#rooms.get(room);
    if (known === undefined) {
      if (this.#rooms.size >= mostRooms) this.#forgetOldest();
      this.#rooms.set(room, { epoch, time, offset });
    } else if (known.epoch !== epoch) {
      if (time > known.time) Object.assign(known, { epoch, time, offset });
    } else if (offset > known.offset) known.offset = offset;
    return { epoch, offset };
  }

  /** What is said to Redis: epoch, its time, offset. @param at where the members of the room stand; what was seen says more */
  said(room: string, at?: Position): readonly [epoch: string, time: string, offset: string] {
    const known = this.#rooms.get(room);
    if (known === undefined) return [at?.epoch ?? "", "0", String(at?.offset ?? 0)];
    return [known.epoch, String(known.time), String(known.offset)];
  }

  forget(rooms: readonly string[]): void {
    for (const room of rooms) this.#rooms.delete(room);
  }

  #forgetOldest(): void {
    for (const room of this.#rooms.keys()) {
      this.#rooms.delete(room);
      return;
    }
  }
}
