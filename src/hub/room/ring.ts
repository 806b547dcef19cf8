import type { Publication } from "./publication.ts";

/** The last publications of a room, which members that are behind read at their own pace. */
export class Ring {
  readonly #size: number;
  readonly #places: (Publication | undefined)[] = [];
  #next = 0;

  /** @param size how many publications are kept */
  constructor(size: number) {
    this.#size = size;
  }

  /** Number of the publication that comes next. */
  get next(): number {
    return this.#next;
  }

  /** Number of the oldest publication that is there; `next` where none is. */
  get oldest(): number {
    return Math.max(0, this.#next - this.#size);
  }

  add(publication: Publication): void {
    this.#places[this.#next % this.#size] = publication;
    this.#next++;
  }

  /** The publication of a number; undefined where it is there no more, or not yet. */
  at(number: number): Publication | undefined {
    return number >= this.oldest && number < this.#next ? this.#places[number % this.#size] : undefined;
  }
}
