import type { Candidate, Picker } from "./picker.ts";

/** The longest schedule for unequal weights, in picks: weights that would need a longer one are rounded. */
const mostPicks = 16_384;

/**
 * Weighted round robin: a schedule in which each endpoint comes as often as its weight says, at even distances, and
 * which begins at a place by chance, so that the first picks of many clients are spread as all others.
 */
export class Stride<C extends Candidate> implements Picker<C> {
  readonly #random: () => number;
  #schedule: readonly C[] = [];
  #next = 0;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  update(candidates: readonly C[]): void {
    this.#schedule = schedule(candidates, this.#random);
    this.#next = Math.floor(this.#random() * this.#schedule.length);
  }

  pick(): C | undefined {
    const picked = this.#schedule[this.#next];
    if (++this.#next >= this.#schedule.length) this.#next = 0;
    return picked;
  }
}

/** Each candidate at even distances; where its row begins is chance. */
function schedule<C extends Candidate>(candidates: readonly C[], random: () => number): C[] {
  const picks: { readonly candidate: C; readonly at: number }[] = [];
  const counts = picksOf(candidates.map(({ weight }) => weight));
  for (const [index, candidate] of candidates.entries()) {
    const count = counts[index] ?? 1;
    const phase = random();
    for (let pick = 0; pick < count; pick++) picks.push({ candidate, at: (pick + phase) / count });
  }
  return picks.toSorted((one, other) => one.at - other.at).map(({ candidate }) => candidate);
}

/** How often each weight comes in one schedule. */
function picksOf(weights: readonly number[]): number[] {
  const divisor = weights.reduce(greatestDivisor, 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (divisor > 0 && total / divisor <= mostPicks) return weights.map((weight) => weight / divisor);
  if (weights.every((weight) => weight === weights[0])) return weights.map(() => 1);
  const scale = Math.max(mostPicks, 4 * weights.length) / total;
  return weights.map((weight) => Math.max(1, Math.round(weight * scale)));
}

/** The greatest common divisor of whole numbers; 0 for others. */
function greatestDivisor(one: number, other: number): number {
  if (!Number.isInteger(other) || Number.isNaN(one)) return Number.NaN;
  while (other !== 0) [one, other] = [other, one % other];
  return one;
}
