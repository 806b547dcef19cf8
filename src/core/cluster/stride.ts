import { meanWeight, type Candidate, type Picker } from "./picker.ts";

/** The largest weight of one entry, relative to the mean: the entries that a pick passes over are few. */
const mostWeight = 2;

/**
 * Weighted round robin by strides. Each pick goes on to the next entry that is due: one of a lower weight than the
 * others is passed over in as many rounds as its weight says. It begins at a place by chance, so that the first picks of
 * many clients are spread as all others. What an update costs does not depend on the weights.
 */
export class Stride<C extends Candidate> implements Picker<C> {
  readonly #random: () => number;
  /** Each candidate once; a heavy one several times, at even distances. */
  #entries: readonly C[] = [];
  /** Which part of the rounds an entry is due in, 0 to 1; undefined if all are due in each. */
  #shares: Float64Array | undefined;
  /** What each entry has gained of its next turn, 0 to 1. */
  #gained = new Float64Array();
  #next = 0;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  update(candidates: readonly C[]): void {
    const random = this.#random;
    const entries = entriesOf(candidates, random);
    this.#entries = entries.map(({ candidate }) => candidate);
    this.#next = Math.floor(random() * entries.length);
    this.#shares = undefined;
    let most = 0;
    for (const { weight } of entries) most = Math.max(most, weight);
    if (entries.every(({ weight }) => weight === most)) return;
    this.#shares = Float64Array.from(entries, ({ weight }) => weight / most);
    this.#gained = Float64Array.from(entries, () => random());
    this.#begin(this.#shares);
  }

  pick(): C | undefined {
    const entries = this.#entries;
    const shares = this.#shares;
    if (shares === undefined) {
      const picked = entries[this.#next];
      if (++this.#next >= entries.length) this.#next = 0;
      return picked;
    }
    const gained = this.#gained;
    for (;;) {
      const index = this.#next;
      if (++this.#next >= entries.length) this.#next = 0;
      const turns = (gained[index] ?? 0) + (shares[index] ?? 1);
      gained[index] = turns < 1 ? turns : turns - 1;
      if (turns >= 1) return entries[index];
    }
  }

  /** The first pick is an entry by chance and weight. */
  #begin(shares: Float64Array): void {
    const random = this.#random;
    let index = this.#next;
    while (random() >= (shares[index] ?? 1)) index = Math.floor(random() * shares.length);
    this.#next = index;
    this.#gained[index] = 1;
  }
}

/** A place in the order of picks. */
interface Entry<C> {
  readonly candidate: C;
  readonly weight: number;
  readonly at: number;
}

/** Each candidate with one entry, or with several at even distances; where its row begins is chance. */
function entriesOf<C extends Candidate>(candidates: readonly C[], random: () => number): Entry<C>[] {
  const entries: Entry<C>[] = [];
  const most = mostWeight * meanWeight(candidates);
  for (const candidate of candidates) {
    const count = Math.ceil(candidate.weight / most);
    const weight = candidate.weight / count;
    const phase = random();
    for (let entry = 0; entry < count; entry++)
      entries.push({ candidate, weight, at: (entry + phase) / count });
  }
  return entries.toSorted((one, other) => one.at - other.at);
}
