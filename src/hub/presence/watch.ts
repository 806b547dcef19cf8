import type { Told } from "./presence-events.ts";
import type { List, PresentRoom, RoomWatch } from "./present-room.ts";

/** Is told that there is something to read. */
export interface Watcher {
  wake(): void;
}

/**
 * A place in the changes of a room: first the list, in pages, then every change behind it, however long the pages take. One
 * that is further behind than what is kept of the changes gets the list anew.
 */
export class Watch implements RoomWatch {
  livePlace = -1;
  readonly #room: PresentRoom;
  readonly #watcher: Watcher;
  /** The list that is read; undefined behind its last page. */
  #list: List | undefined;
  #page = 0;
  /** Number of the next change. */
  #number = 0;

  constructor(room: PresentRoom, watcher: Watcher) {
    this.#room = room;
    this.#watcher = watcher;
    this.#begin();
    room.add(this);
  }

  wake(): void {
    this.#watcher.wake();
  }

  /** The next event; undefined where there is none. */
  next(): Told | undefined {
    for (;;) {
      const list = this.#list;
      if (list !== undefined) return this.#read(list);
      const { log } = this.#room;
      if (this.#number === log.next) return undefined;
      const found = log.at(this.#number);
      if (found?.item.told === undefined) {
        this.#begin(); // A new list, or some changes are lost.
        continue;
      }
      this.#number = found.number + 1;
      return found.item.told;
    }
  }

  end(): void {
    this.#room.delete(this);
  }

  #begin(): void {
    this.#list = this.#room.list();
    this.#page = 0;
  }

  #read(list: List): Told {
    const told = list.page(this.#page++);
    if (this.#page === list.pages) {
      this.#list = undefined;
      this.#number = list.next;
    }
    return told;
  }
}
