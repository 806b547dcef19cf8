import type { Candidate, Picker } from "./picker.ts";

/** What decides where an endpoint stands. */
export interface PlacedCandidate extends Candidate {
  readonly priority: number;
  readonly zone: string | undefined;
  /** Its weight as it was found, whether it is used less at the moment or not. */
  readonly fullWeight: number;
  /** Whether it is known if the endpoint can be reached: those that are connected for the first time do not count. */
  readonly isJudged: boolean;
}

/** How many calls the available part of a group can take, relative to that part: a group may do without some endpoints. */
const spare = 1.4;

/** Endpoints of one priority, or of one side of it: those of this process's zone, or the others. */
interface Group<C extends Candidate> {
  readonly picker: Picker<C>;
  /** Below which number by chance this group is taken. */
  readonly until: number;
}

/**
 * Spreads calls over priorities, and within each over this zone and the others (Envoy's priority rule): a group takes
 * 1.4 times its available share of the calls, all of them at most, and the next one what is left. Within a group another
 * picker decides.
 */
export class Spread<C extends PlacedCandidate> implements Picker<C> {
  readonly #pickerOf: () => Picker<C>;
  readonly #random: () => number;
  readonly #zone: string | undefined;
  /** Pickers by the names of their groups. */
  readonly #pickers = new Map<string, Picker<C>>();
  #groups: readonly Group<C>[] = [];
  /** The picker of the only group; undefined with several. */
  #only: Picker<C> | undefined;

  /**
   * @param pickerOf makes the picker of a group
   * @param random returns numbers from 0 to 1, without 1
   * @param zone whose endpoints are preferred; undefined for none
   */
  constructor(pickerOf: () => Picker<C>, random: () => number, zone: string | undefined) {
    this.#pickerOf = pickerOf;
    this.#random = random;
    this.#zone = zone;
  }

  update(candidates: readonly C[], nowMs: number, all: readonly C[]): void {
    if (this.#isFlat(all)) {
      this.#only = this.#picker("");
      this.#only.update(candidates, nowMs, all);
      return;
    }
    this.#only = undefined;
    const groups = this.#groupsOf(candidates, all);
    let until = 0;
    this.#groups = groups.map(({ name, own, everyone, share }) => {
      const picker = this.#picker(name);
      picker.update(own, nowMs, everyone);
      until += share;
      return { picker, until };
    });
  }

  pick(nowMs: number, key?: number): C | undefined {
    if (this.#only !== undefined) return this.#only.pick(nowMs, key);
    const place = this.#random();
    const group = this.#groups.find(({ until }) => place < until) ?? this.#groups.at(-1);
    return group?.picker.pick(nowMs, key);
  }

  #picker(name: string): Picker<C> {
    let picker = this.#pickers.get(name);
    if (picker === undefined) this.#pickers.set(name, (picker = this.#pickerOf()));
    return picker;
  }

  /** Whether all endpoints are one group. */
  #isFlat(all: readonly C[]): boolean {
    const [first] = all;
    if (this.#zone !== undefined) return false;
    return all.every(({ priority }) => priority === first?.priority);
  }

  /** The groups that have candidates, with their shares of the calls. */
  #groupsOf(candidates: readonly C[], all: readonly C[]): SharedGroup<C>[] {
    const available = new Set(candidates);
    const priorities = [...Map.groupBy(all, ({ priority }) => priority)].toSorted(
      ([one], [other]) => one - other,
    );
    const shares = sharesOf(priorities.map(([, members]) => capacity(members, available)));
    return priorities.flatMap(([priority, members], index) => {
      const sides = this.#sidesOf(members);
      const sideShares = sharesOf(sides.map((side) => capacity(side, available)));
      return sides.flatMap((side, place) => {
        const share = (shares[index] ?? 0) * (sideShares[place] ?? 0);
        const own = side.filter((endpoint) => available.has(endpoint));
        if (share === 0 || own.length === 0) return [];
        return [{ name: `${priority} ${place}`, own, everyone: side, share }];
      });
    });
  }

  /** Those of this zone and the others; all of them if one of both is none. */
  #sidesOf(members: readonly C[]): (readonly C[])[] {
    if (this.#zone === undefined) return [members];
    const local = members.filter(({ zone }) => zone === this.#zone);
    if (local.length === 0 || local.length === members.length) return [members];
    return [local, members.filter(({ zone }) => zone !== this.#zone)];
  }
}

interface SharedGroup<C> {
  readonly name: string;
  readonly own: readonly C[];
  readonly everyone: readonly C[];
  /** Its share of all calls, 0 to 1. */
  readonly share: number;
}

/** How many of all calls a group could take, 0 to 1. */
function capacity<C extends PlacedCandidate>(members: readonly C[], available: ReadonlySet<C>): number {
  let usable = 0;
  let known = 0;
  for (const member of members) {
    const isAvailable = available.has(member);
    if (isAvailable) usable += member.fullWeight;
    if (isAvailable || member.isJudged) known += member.fullWeight;
  }
  return known === 0 ? 0 : Math.min(1, (spare * usable) / known);
}

/** What each group takes: in turn what it can, and in proportion if all of them together cannot take everything. */
function sharesOf(capacities: readonly number[]): number[] {
  const total = capacities.reduce((sum, part) => sum + part, 0);
  if (total === 0) return capacities.map(() => 0);
  let left = 1;
  return capacities.map((part) => {
    if (total < 1) return part / total;
    const share = Math.min(part, left);
    left -= share;
    return share;
  });
}
