import { hash32, mix32 } from "./hash-32.ts";
import { meanWeight, type Candidate, type Picker } from "./picker.ts";
import { RandomPick } from "./random-pick.ts";

/** What a ring knows of an endpoint. */
export interface RingCandidate extends Candidate {
  /** What names it on the ring, in all processes. */
  readonly hashKey: string;
  /** Its share of the ring: its weight as it was found, whether it is used less at the moment or not. */
  readonly fullWeight: number;
}

/** The most points of a ring; a ring with more endpoints has one for each. There is at least half as many. */
const mostPoints = 4_096;

/** A part of the ring, in bits of a hash, of which the first point is known. */
const sectorBits = 12;

/** An endpoint as it was when the ring was made. */
interface Known<C> {
  readonly owner: C;
  readonly hashKey: string;
  readonly fullWeight: number;
}

/** Parts of `HashRing`, of which tests have their own. */
export interface RingParts {
  readonly random: () => number;
  /** How many calls an endpoint may have, relative to the mean; Infinity for any number. */
  readonly boundedLoad: number;
  /** The mean number of calls in flight of the candidates, with the one to be picked. */
  readonly meanInFlight: () => number;
}

/**
 * Consistent hashing: a ring of points of all endpoints, in which a call goes to the one of the next point behind its
 * key. Endpoints that cannot be called, or have too many calls in flight, are passed over. Calls without a key are
 * spread by chance.
 */
export class HashRing<C extends RingCandidate> implements Picker<C> {
  readonly #parts: RingParts;
  readonly #random: RandomPick<C>;
  #candidates: ReadonlySet<C> = new Set();
  #meanWeight = 1;
  /** What the ring was made of, in the order in which it was found. */
  #made: readonly Known<C>[] = [];
  /** The endpoints of the ring, by their keys, and the index of that of each point. */
  #owners: readonly C[] = [];
  #ownerOf = new Uint32Array();
  /** The points, ascending. */
  #points = new Uint32Array();
  /** The first point of each sector, or behind it. */
  readonly #sectors = new Uint32Array(1 << sectorBits);

  constructor(parts: RingParts) {
    this.#parts = parts;
    this.#random = new RandomPick(parts.random);
  }

  update(candidates: readonly C[], _nowMs: number, all: readonly C[]): void {
    this.#random.update(candidates);
    this.#candidates = new Set(candidates);
    this.#meanWeight = meanWeight(candidates);
    if (this.#isMadeOf(all)) return;
    this.#made = all.map((owner) => ({ owner, hashKey: owner.hashKey, fullWeight: owner.fullWeight }));
    this.#make();
  }

  pick(_nowMs: number, key?: number): C | undefined {
    if (key === undefined || this.#candidates.size < 2) return this.#random.pick();
    const mean = this.#parts.meanInFlight();
    const length = this.#points.length;
    let first: C | undefined;
    for (let step = 0, at = this.#behind(key); step < length; step++, at++) {
      if (at >= length) at = 0;
      const owner = this.#owners[this.#ownerOf[at] ?? 0];
      if (owner === undefined || !this.#candidates.has(owner)) continue;
      if (this.#hasRoom(owner, mean)) return owner;
      first ??= owner;
    }
    return first;
  }

  #hasRoom({ load, weight }: C, mean: number): boolean {
    const share = weight / this.#meanWeight;
    return load.inFlight < Math.ceil(this.#parts.boundedLoad * mean * share);
  }

  /** The index of the first point that is not below the key; the number of points if there is none. */
  #behind(key: number): number {
    const points = this.#points;
    let at = this.#sectors[key >>> (32 - sectorBits)] ?? 0;
    while (at < points.length && (points[at] ?? 0) < key) at++;
    return at;
  }

  #isMadeOf(all: readonly C[]): boolean {
    const made = this.#made;
    if (all.length !== made.length) return false;
    return all.every((owner, index) => {
      const known = made[index];
      return (
        known?.owner === owner && known.hashKey === owner.hashKey && known.fullWeight === owner.fullWeight
      );
    });
  }

  #make(): void {
    // In the order of their keys: clients that found the endpoints in another order have the same ring.
    const known = this.#made.toSorted(compare);
    this.#owners = known.map(({ owner }) => owner);
    const counts = pointsOf(known);
    const total = counts.reduce((sum, count) => sum + count, 0);
    // Point and owner in one number, so that they are sorted together.
    const pairs = new Float64Array(total);
    let at = 0;
    for (const [owner, count] of counts.entries()) {
      const name = hash32(known[owner]?.hashKey ?? "");
      for (let point = 0; point < count; point++) {
        pairs[at++] = mix32(name + Math.imul(point, 0x9e3779b1)) * 2 ** 20 + owner;
      }
    }
    pairs.sort();
    this.#points = Uint32Array.from(pairs, (pair) => Math.floor(pair / 2 ** 20));
    this.#ownerOf = Uint32Array.from(pairs, (pair) => pair % 2 ** 20);
    let index = 0;
    for (let sector = 0; sector < this.#sectors.length; sector++) {
      const begin = sector * 2 ** (32 - sectorBits);
      while (index < total && (this.#points[index] ?? 0) < begin) index++;
      this.#sectors[sector] = index;
    }
  }
}

/**
 * How many points each endpoint has. The number for a weight is a power of two, or all other endpoints would change
 * theirs as one comes or goes.
 */
function pointsOf<C>(all: readonly Known<C>[]): number[] {
  const total = all.reduce((sum, { fullWeight }) => sum + fullWeight, 0);
  const perWeight = 2 ** Math.floor(Math.log2(mostPoints / total));
  return all.map(({ fullWeight }) => Math.max(1, Math.round(fullWeight * perWeight)));
}

function compare<C>({ hashKey: one }: Known<C>, { hashKey: other }: Known<C>): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
