import type { EndpointChange, EndpointSet, KnownEndpoint } from "../discovery/endpoint-list.ts";
import { hash32 } from "./hash-32.ts";

/** Which of the endpoints that were found are used. */
export interface SelectionOptions {
  /** Of each priority, so many; 0 for all. */
  readonly subset: number;
  /** Decides which: other clients have another one. */
  readonly seed: number;
  /**
   * The number of this client among its equals, from 0: their subsets then use all endpoints alike. Default: none, `seed`
   * decides.
   */
  readonly index?: number | undefined;
  /** The zone whose endpoints are used by their hints; undefined to use all. */
  readonly zone: string | undefined;
}

/** The fraction of the golden ratio: its multiples, without their whole parts, are as far apart as numbers can be. */
const golden = (Math.sqrt(5) - 1) / 2;

/** Of all clients alike: they must see the endpoints in the same order. */
const orderSeed = 0;

/**
 * Which endpoints a client uses of those that were found: by hints of zones, and by rendezvous hashing (gRFC A68), so
 * that as endpoints come and go hardly any of the others change. Clients that know their number each take a run of
 * neighbours on a ring of the endpoints, whose begins are spread evenly however many clients there are.
 */
export class Selection {
  readonly #options: SelectionOptions;
  #chosen: EndpointSet = new Map();

  constructor(options: SelectionOptions) {
    this.#options = options;
  }

  /** How the endpoints in use change. */
  next({ endpoints }: EndpointChange): EndpointChange {
    const before = this.#chosen;
    const chosen = new Map<string, KnownEndpoint>();
    for (const endpoint of this.#choose([...endpoints.values()])) chosen.set(endpoint.address, endpoint);
    this.#chosen = chosen;
    const added: KnownEndpoint[] = [];
    const changed: KnownEndpoint[] = [];
    for (const endpoint of chosen.values()) {
      const old = before.get(endpoint.address);
      if (old === undefined) added.push(endpoint);
      else if (old !== endpoint) changed.push(endpoint);
    }
    const removed = [...before.values()].filter(({ address }) => !chosen.has(address));
    return { endpoints: chosen, added, removed, changed };
  }

  /** Nothing is in use any more. */
  clear(): void {
    this.#chosen = new Map();
  }

  #choose(all: readonly KnownEndpoint[]): readonly KnownEndpoint[] {
    const { subset, zone } = this.#options;
    const hinted = zone === undefined ? all : hintedFor(zone, all);
    if (subset === 0) return hinted;
    const usable = hinted.filter(({ weight }) => weight > 0);
    const byPriority = Map.groupBy(usable, ({ priority }) => priority);
    const { index } = this.#options;
    const some = index === undefined ? this.#nearest : this.#run(index);
    return [...byPriority.values()].flatMap((members) =>
      members.length <= subset ? members : some(members),
    );
  }

  /** Neighbours on a ring in the order of hashes. */
  #run(index: number): (members: readonly KnownEndpoint[]) => readonly KnownEndpoint[] {
    return (members) => {
      const ring = members
        .map((endpoint) => ({ endpoint, hash: hash32(endpoint.address, orderSeed) }))
        .toSorted(
          (one, other) => one.hash - other.hash || (one.endpoint.address < other.endpoint.address ? -1 : 1),
        );
      const first = Math.floor(((index * golden) % 1) * ring.length);
      return Array.from({ length: this.#options.subset }, (_, step) => ring[(first + step) % ring.length])
        .filter((place) => place !== undefined)
        .map(({ endpoint }) => endpoint);
    };
  }

  /** Those with the lowest hashes. */
  readonly #nearest = (members: readonly KnownEndpoint[]): readonly KnownEndpoint[] => {
    const { subset, seed } = this.#options;
    const nearest: { readonly endpoint: KnownEndpoint; readonly hash: number }[] = [];
    for (const endpoint of members) {
      const hash = hash32(endpoint.address, seed);
      if (nearest.length === subset && hash >= (nearest.at(-1)?.hash ?? 0)) continue;
      const place = nearest.findIndex((other) => other.hash > hash);
      nearest.splice(place < 0 ? nearest.length : place, 0, { endpoint, hash });
      if (nearest.length > subset) nearest.pop();
    }
    return nearest.map(({ endpoint }) => endpoint);
  };
}

/** The endpoints that hints name for a zone; all of them if there is none. */
function hintedFor(zone: string, all: readonly KnownEndpoint[]): readonly KnownEndpoint[] {
  const hinted = all.filter(({ zoneHints = [] }) => zoneHints.includes(zone));
  return hinted.length === 0 ? all : hinted;
}
