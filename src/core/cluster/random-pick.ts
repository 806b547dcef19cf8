import type { Candidate, Picker } from "./picker.ts";
import { WeightedChoice } from "./weighted-choice.ts";

/** Any endpoint, by chance and weight. */
export class RandomPick<C extends Candidate> implements Picker<C> {
  readonly #random: () => number;
  #candidates: readonly C[] = [];
  #choice: WeightedChoice;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(random: () => number) {
    this.#random = random;
    this.#choice = new WeightedChoice([], random);
  }

  update(candidates: readonly C[]): void {
    this.#candidates = candidates;
    const weights = candidates.map(({ weight }) => weight);
    this.#choice = new WeightedChoice(weights, this.#random);
  }

  pick(): C | undefined {
    return this.#candidates[this.#choice.next()];
  }
}
