import type { Told } from "./presence-events.ts";

/** An event of the log. */
export interface LogItem {
  /** Undefined where watchers begin anew with the list. */
  readonly told: Told | undefined;
  /** Whether nothing before it has to be known. */
  readonly isWhole: boolean;
}

/** The most members and events in the log, so that a watcher that is far behind gets the list, which costs less then. */
const mostMembers = 4_000;
const mostItems = 64;

/** The last changes of a room, which its watchers read at their own pace: each has a number without a hole. */
export class ToldLog {
  #items: LogItem[] = [];
  #members = 0;
  #next = 0;

  /** Number of the event that comes next. */
  get next(): number {
    return this.#next;
  }

  /** Changes of those who are there, that belong together. */
  add(changes: readonly Told[]): void {
    for (const told of changes) this.#push({ told, isWhole: false });
    // Those of the last time stay, whatever they are.
    while (this.#items.length > changes.length && this.#isFull()) this.#drop();
  }

  /** An event, or a new list, that replaces all before it. @param told undefined for a new list */
  addWhole(told: Told | undefined): void {
    this.clear();
    this.#push({ told, isWhole: true });
  }

  /** Nothing of it is of use to watchers that come later. */
  clear(): void {
    this.#items = [];
    this.#members = 0;
  }

  /** All watchers have read what is before a number. */
  read(number: number): void {
    while (this.#items.length > this.#next - number) this.#drop();
  }

  /** What a watcher reads that has read everything before a number; undefined where there is nothing more, or it is lost. */
  at(number: number): { readonly item: LogItem; readonly number: number } | undefined {
    const oldest = this.#next - this.#items.length;
    const [first] = this.#items;
    if (number < oldest) return first?.isWhole === true ? { item: first, number: oldest } : undefined;
    const item = this.#items[number - oldest];
    return item && { item, number };
  }

  #isFull(): boolean {
    return this.#members > mostMembers || this.#items.length > mostItems;
  }

  #push(item: LogItem): void {
    this.#items.push(item);
    this.#members += item.told?.event.members.length ?? 0;
    this.#next++;
  }

  #drop(): void {
    this.#members -= this.#items.shift()?.told?.event.members.length ?? 0;
  }
}
