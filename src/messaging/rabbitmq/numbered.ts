/** So many places of items that have left are kept. */
const spare = 1_000;

/** Items by consecutive numbers from 1 on, which leave in about the order in which they came. */
export class Numbered<T> {
  /** Undefined for those that have left. */
  #items: (T | undefined)[] = [];
  /** Place of the first that is there. */
  #head = 0;
  /** The number of the item at place 0. */
  #base = 1;

  /** Adds an item, by the next number. */
  add(item: T): void {
    this.#items.push(item);
  }

  /** The item with a number; undefined where none has it any more. */
  get(number: number): T | undefined {
    const at = number - this.#base;
    return at < 0 ? undefined : this.#items[at];
  }

  /** Takes an item out; undefined where none has this number any more. */
  take(number: number): T | undefined {
    const item = this.get(number);
    if (item === undefined) return undefined;
    this.#items[number - this.#base] = undefined;
    this.#forget();
    return item;
  }

  /** The smallest number that is there; undefined for none. */
  get first(): number | undefined {
    return this.#head < this.#items.length ? this.#base + this.#head : undefined;
  }

  /** Those that are there, in their order. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }

  /** Takes all out, in their order. */
  takeAll(): T[] {
    const all = [...this];
    this.#base += this.#items.length;
    this.#items = [];
    this.#head = 0;
    return all;
  }

  #forget(): void {
    const { length } = this.#items;
    while (this.#head < length && this.#items[this.#head] === undefined) this.#head++;
    if (this.#head < length && (this.#head < spare || this.#head * 2 < length)) return;
    this.#items = this.#items.slice(this.#head);
    this.#base += this.#head;
    this.#head = 0;
  }
}
