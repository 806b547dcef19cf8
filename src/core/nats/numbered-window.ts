/**
 * Items by numbers that count up: as a rule the oldest ones go first. A list with a place where it begins costs less than
 * a `Map`, which V8 makes anew again and again.
 */
export class NumberedWindow<T> {
  #items: (T | undefined)[] = [];
  /** Place of the first item in `#items`. */
  #head = 0;
  /** Number of the item at `#head`. */
  #first = 1;

  /** Number of the item that is added next. */
  get next(): number {
    return this.#first + this.#items.length - this.#head;
  }

  /** Number of the oldest one; `next` where there is none. */
  get first(): number {
    return this.#first;
  }

  /** The oldest one. */
  get oldest(): T | undefined {
    return this.#items[this.#head];
  }

  /** @returns its number */
  add(item: T): number {
    this.#items.push(item);
    return this.next - 1;
  }

  find(number: number): T | undefined {
    return number < this.#first ? undefined : this.#items[this.#head + number - this.#first];
  }

  /** Takes an item out; undefined where it is there no more. */
  take(number: number): T | undefined {
    const item = this.find(number);
    if (item === undefined) return undefined;
    this.#items[this.#head + number - this.#first] = undefined;
    while (this.#head < this.#items.length && this.#items[this.#head] === undefined) {
      this.#head++;
      this.#first++;
    }
    if (this.#head > 1_024 || this.#head === this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes all of them out. */
  takeAll(): readonly T[] {
    const all = this.#items.slice(this.#head).filter((item) => item !== undefined);
    this.#first = this.next;
    this.#items = [];
    this.#head = 0;
    return all;
  }
}
