import type { Told } from "./presence-events.ts";
import type { List, PresentRoom, RoomWatch } from "./present-room.ts";

/** Is told that there is something to read. */
export interface Watcher {
  wake(): void;
}

/**
 * A place in the changes of a room: first the list, in pages, then every change behind it, however long the pages take. One
 * that is further behind than what is kept of the changes gets the list anew. Without private methods, which would cost each a field.
 */
export class Watch implements RoomWatch {
  livePlace = -1;
  readonly #room: PresentRoom;
  readonly #watcher: Watcher;
  /** The list that is read; undefined behind its last page. */
  #list: List | undefined;
  /** Number of the next page, behind the list of the next change. */
  #next = 0;

  /** @param isTold whether it reads; else it is only there */
  constructor(room: PresentRoom, watcher: Watcher, isTold = true) {
    this.#room = room;
    this.#watcher = watcher;
    if (!isTold) return;
    this.#list = room.list();
    room.add(this);
  }

  get room(): PresentRoom {
    return this.#room;
  }

  get nextChange(): number {
    return this.#list?.next ?? this.#next;
  }

  wake(): void {
    this.#watcher.wake();
  }

  /** The next event; undefined where there is none. */
  told(): Told | undefined {
    if (this.livePlace < 0) return undefined;
    if (this.#list === undefined) {
      const { log } = this.#room;
      if (this.#next === log.next) return undefined;
      const found = log.at(this.#next);
      if (found?.item.told !== undefined) {
        this.#next = found.number + 1;
        return found.item.told;
      }
      this.#list = this.#room.list(); // A new list, or some changes are lost.
      this.#next = 0;
    }
    const { pages, next } = this.#list;
    const told = this.#list.page(this.#next++);
    if (this.#next === pages) {
      this.#list = undefined;
      this.#next = next;
    }
    return told;
  }

  end(): void {
    this.#room.delete(this);
  }
}
