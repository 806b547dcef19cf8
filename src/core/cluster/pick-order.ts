/** The indices of a list in the order of their last use, the least recent first; a use costs the same in lists of any size. */
export class PickOrder {
  /** A ring with a head that is no index: `count`. */
  readonly #before: Uint32Array;
  readonly #behind: Uint32Array;
  readonly #head: number;

  /** @param count how many indices there are, in the order of their last use */
  constructor(count: number) {
    this.#head = count;
    this.#before = Uint32Array.from({ length: count + 1 }, (_, index) => (index === 0 ? count : index - 1));
    this.#behind = Uint32Array.from({ length: count + 1 }, (_, index) => (index === count ? 0 : index + 1));
  }

  /** The index whose last use is the longest ago; the count if there is none. */
  get first(): number {
    return this.#behind[this.#head] ?? 0;
  }

  moveToEnd(index: number): void {
    const before = this.#before;
    const behind = this.#behind;
    const head = this.#head;
    if (behind[index] === head) return;
    const left = before[index] ?? head;
    const right = behind[index] ?? head;
    behind[left] = right;
    before[right] = left;
    const last = before[head] ?? head;
    behind[last] = index;
    before[index] = last;
    behind[index] = head;
    before[head] = index;
  }
}
