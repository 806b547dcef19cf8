import type { Candidate, Picker } from "./picker.ts";

/** All calls go to the first candidate of the lowest priority. */
export class FirstPick<C extends Candidate & { readonly priority: number }> implements Picker<C> {
  #first: C | undefined;

  update(candidates: readonly C[]): void {
    this.#first = candidates[0];
    for (const candidate of candidates) {
      if (this.#first !== undefined && candidate.priority < this.#first.priority) this.#first = candidate;
    }
  }

  pick(): C | undefined {
    return this.#first;
  }
}
