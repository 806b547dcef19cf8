/**
 * Choices by chance, each index as often as its weight says. A choice costs the same however many there are (Vose's
 * alias method).
 */
export class WeightedChoice {
  readonly #count: number;
  readonly #random: () => number;
  /** How much of the place of an index is its own, 0 to 1; undefined where all weights are equal. */
  readonly #own: Float64Array | undefined;
  /** The index that has the rest of a place. */
  readonly #alias: Uint32Array = new Uint32Array();

  /**
   * @param weights above 0
   * @param random returns numbers from 0 to 1, without 1
   */
  constructor(weights: readonly number[], random: () => number) {
    this.#count = weights.length;
    this.#random = random;
    const [first = 1] = weights;
    if (weights.every((weight) => weight === first)) return;
    const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
    const own = Float64Array.from(weights, (weight) => weight / mean);
    this.#alias = new Uint32Array(weights.length);
    const small: number[] = [];
    const large: number[] = [];
    for (const [index, share] of own.entries()) (share < 1 ? small : large).push(index);
    for (let less = small.pop(), more = large.at(-1); less !== undefined && more !== undefined;) {
      this.#alias[less] = more;
      const rest = (own[more] ?? 0) + (own[less] ?? 0) - 1;
      own[more] = rest;
      if (rest < 1) {
        large.pop();
        small.push(more);
      }
      less = small.pop();
      more = large.at(-1);
    }
    this.#own = own;
  }

  /** An index; 0 if there is none. */
  next(): number {
    const place = this.#random() * this.#count;
    const index = Math.floor(place);
    if (this.#own === undefined || place - index < (this.#own[index] ?? 1)) return index;
    return this.#alias[index] ?? index;
  }

  /** An index other than `index`, of at least two. */
  other(index: number): number {
    for (let tries = 0; tries < 8; tries++) {
      const next = this.next();
      if (next !== index) return next;
    }
    return (index + 1 + Math.floor(this.#random() * (this.#count - 1))) % this.#count;
  }
}
