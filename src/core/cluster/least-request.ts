import type { Candidate, Picker } from "./picker.ts";
import { WeightedChoice } from "./weighted-choice.ts";

/** Of several endpoints by chance and weight, the one with the fewest calls in flight for its weight. */
export class LeastRequest<C extends Candidate> implements Picker<C> {
  readonly #random: () => number;
  readonly #choices: number;
  #candidates: readonly C[] = [];
  #choice: WeightedChoice;

  /**
   * @param random returns numbers from 0 to 1, without 1
   * @param choices of how many endpoints the least is taken
   */
  constructor(random: () => number, choices: number) {
    this.#random = random;
    this.#choices = choices;
    this.#choice = new WeightedChoice([], random);
  }

  update(candidates: readonly C[]): void {
    this.#candidates = candidates;
    const weights = candidates.map(({ weight }) => weight);
    this.#choice = new WeightedChoice(weights, this.#random);
  }

  pick(): C | undefined {
    const candidates = this.#candidates;
    let index = this.#choice.next();
    let best = candidates[index];
    if (best === undefined || candidates.length === 1) return best;
    for (let choice = 1; choice < this.#choices; choice++) {
      index = this.#choice.other(index);
      const other = candidates[index];
      if (other !== undefined && calls(other) < calls(best)) best = other;
    }
    return best;
  }
}

function calls({ load, weight }: Candidate): number {
  return load.inFlight / weight;
}
