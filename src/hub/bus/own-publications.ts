import type { Deliveries, Publication } from "../room/publication.ts";

interface Own {
  readonly number: number;
  readonly publication: Publication;
}

/** Publications of this node that have not come back yet, by their numbers. They come back in their order. */
export class OwnPublications {
  #waiting: (Own | undefined)[] = [];
  #head = 0;
  #lastNumber = 0;

  /** @returns its number, and a promise that resolves when the members here have it */
  add(publication: Publication): { readonly number: number; readonly delivered: Promise<void> } {
    const number = ++this.#lastNumber;
    const { promise, resolve } = Promise.withResolvers<void>();
    const told = publication.delivered;
    publication.delivered = (deliveries: Deliveries) => {
      told?.(deliveries);
      resolve();
    };
    this.#waiting.push({ number, publication });
    return { number, delivered: promise };
  }

  /** The publication of a number that has come back; undefined for one that is not waited for. */
  take(number: number): Publication | undefined {
    const first = this.#waiting[this.#head]?.number ?? 0;
    const place = this.#head + number - first;
    const own = place < this.#head ? undefined : this.#waiting[place];
    if (own === undefined) return undefined;
    this.#waiting[place] = undefined;
    while (this.#head < this.#waiting.length && this.#waiting[this.#head] === undefined) this.#head++;
    if (this.#head > 1_024 || this.#head === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return own.publication;
  }
}
