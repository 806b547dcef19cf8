/** The last numbers that were added, at most as many as there is room for. */
export class NumberRing {
  readonly #size: number;
  /** Made with the first number: most connections never need one. */
  #numbers: Set<number> | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  add(number: number): void {
    const numbers = (this.#numbers ??= new Set());
    numbers.add(number);
    if (numbers.size <= this.#size) return;
    for (const oldest of numbers) {
      numbers.delete(oldest);
      return;
    }
  }

  has(number: number): boolean {
    return this.#numbers?.has(number) === true;
  }
}
