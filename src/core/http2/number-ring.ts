/** The last numbers that were added, at most as many as there is room for. */
export class NumberRing {
  readonly #size: number;
  readonly #numbers = new Set<number>();

  constructor(size: number) {
    this.#size = size;
  }

  add(number: number): void {
    this.#numbers.add(number);
    if (this.#numbers.size <= this.#size) return;
    for (const oldest of this.#numbers) {
      this.#numbers.delete(oldest);
      return;
    }
  }

  has(number: number): boolean {
    return this.#numbers.has(number);
  }
}
