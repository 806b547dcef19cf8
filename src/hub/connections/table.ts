import { networkOf } from "../../core/net/client-network.ts";
import type { Entry } from "./entry.ts";
import { Turns } from "./turns.ts";

/** How many places are copied at once. */
const sliceSize = 256;
/** Below so many empty places the table is left as it is. */
const fewEmpty = 64;

/** The connections of one user. Old tables of a `Map` keep a record for a while, which has no entries then. */
interface UserRecord {
  entries: Entry[];
}

/**
 * The live connections of this process, in the order of their numbers. An array, as a `Map` with entries that come and
 * go keeps those that have gone until the next full garbage collection.
 */
export class Table {
  /** An entry, or the number of one that has left. */
  #places: (Entry | number)[] = [];
  #empty = 0;
  readonly #nowMs: () => number;
  readonly #users = new Map<string, UserRecord>();
  readonly #networks = new Map<string, number>();

  /** @param nowMs milliseconds since an arbitrary moment */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#places.length - this.#empty;
  }

  /** The connections of a user, the oldest first. */
  ofUser(user: string): readonly Entry[] {
    return this.#users.get(user)?.entries ?? [];
  }

  /** How many connections come from the network of an address. */
  fromNetworkOf(address: string): number {
    return this.#networks.get(networkOf(address)) ?? 0;
  }

  /** Users with connections. */
  get users(): number {
    return this.#users.size;
  }

  /** Adds the entry with the greatest number so far. */
  add(entry: Entry): void {
    this.#places.push(entry);
    const network = networkOf(entry.address);
    this.#networks.set(network, (this.#networks.get(network) ?? 0) + 1);
    if (entry.user !== undefined) this.identified(entry);
  }

  /** The user of an entry is known. */
  identified(entry: Entry): void {
    const { user } = entry;
    if (user === undefined) return;
    const record = this.#users.get(user);
    if (record === undefined) this.#users.set(user, { entries: [entry] });
    else record.entries.push(entry);
  }

  /** Removes an entry that is in the table. */
  delete(entry: Entry): void {
    const { number, address, user } = entry;
    this.#places[this.#placeOf(number)] = number;
    this.#empty++;
    if (this.#empty > fewEmpty && this.#empty * 2 > this.#places.length) this.#close();
    const network = networkOf(address);
    const left = (this.#networks.get(network) ?? 1) - 1;
    if (left > 0) this.#networks.set(network, left);
    else this.#networks.delete(network);
    const record = user === undefined ? undefined : this.#users.get(user);
    if (user === undefined || record === undefined) return;
    record.entries = record.entries.filter((other) => other !== entry);
    if (record.entries.length === 0) this.#users.delete(user);
  }

  /** The entry of a number; undefined for none. */
  find(number: number): Entry | undefined {
    const found = this.#places[this.#placeOf(number)];
    return typeof found === "object" && found.number === number ? found : undefined;
  }

  /**
   * Calls `visit` with the entries behind a number, in their order, until it returns false; the event loop goes on after
   * some milliseconds. Entries that are there all the time are visited once each, those that come or go meanwhile may be.
   */
  async each(after: number, visit: (entry: Entry) => boolean): Promise<void> {
    const pace = new Turns(this.#nowMs);
    for (let last = after; ;) {
      const first = this.#placeOf(last + 1);
      const slice = this.#places.slice(first, first + sliceSize);
      for (const place of slice) {
        last = numberOf(place);
        if (typeof place === "object" && !place.isOver && !visit(place)) return;
        const turn = pace.next();
        if (turn !== undefined) await turn;
      }
      if (slice.length < sliceSize) return;
    }
  }

  /** The entries now, for what cannot wait. */
  *[Symbol.iterator](): Iterator<Entry> {
    for (const place of [...this.#places]) if (typeof place === "object") yield place;
  }

  /** The first place whose number is not less. */
  #placeOf(number: number): number {
    let from = 0;
    let to = this.#places.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const place = this.#places[middle];
      if (place !== undefined && numberOf(place) < number) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Closes the empty places. */
  #close(): void {
    this.#places = this.#places.filter((place) => typeof place === "object");
    this.#empty = 0;
  }
}

function numberOf(place: Entry | number): number {
  return typeof place === "number" ? place : place.number;
}
