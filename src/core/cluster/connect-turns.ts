import type { ClusterEndpoint } from "./endpoint.ts";
import type { Members } from "./members.ts";

/** How a cluster connects to its endpoints. */
export interface ConnectTurnsOptions {
  /** How many endpoints are connected to at the same time. */
  readonly atOnce: number;
  /** Whether one connected endpoint is enough, the first of the list that can be reached. */
  readonly oneIsEnough: boolean;
  /** The zone whose endpoints come first; undefined for none. */
  readonly zone: string | undefined;
}

/** Calls shorten the pauses of endpoints that fail, which are looked through once in this time, in milliseconds. */
const hastenEveryMs = 250;

/**
 * The order in which endpoints are connected: those of lower priorities first, of these the ones of this zone, and else by
 * chance, so that clients do not all begin with the same one.
 */
export class ConnectTurns {
  readonly #members: Members;
  readonly #options: ConnectTurnsOptions;
  readonly #random: () => number;
  /** Endpoints that are to be connected, by their ranks; the turn of the last one comes first. */
  readonly #queues = new Map<number, ClusterEndpoint[]>();
  #hastenedMs = Number.NEGATIVE_INFINITY;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(members: Members, options: ConnectTurnsOptions, random: () => number) {
    this.#members = members;
    this.#options = options;
    this.#random = random;
  }

  /** Whether an endpoint waits for its turn. */
  get hasWaiting(): boolean {
    for (const queue of this.#queues.values()) {
      if (queue.some(({ state, isGone }) => state === "idle" && !isGone)) return true;
    }
    return false;
  }

  /** Gives turns to the endpoints that have no connection yet. */
  add(endpoints: Iterable<ClusterEndpoint>): void {
    for (const endpoint of endpoints) {
      if (endpoint.isQueued || endpoint.weight === 0 || endpoint.state !== "idle") continue;
      endpoint.isQueued = true;
      const queue = this.#queueOf(endpoint);
      const place = Math.floor(this.#random() * (queue.length + 1));
      const other = queue[place] ?? endpoint;
      queue[place] = endpoint;
      if (other !== endpoint) queue.push(other);
    }
  }

  /** Connects the endpoints whose turn it is. */
  connect(): void {
    const { states } = this.#members;
    const { atOnce, oneIsEnough } = this.#options;
    const most = oneIsEnough ? 1 : atOnce;
    while (this.#members.connecting < most) {
      if (oneIsEnough && states.ready > 0) return;
      const endpoint = this.#takeNext();
      if (endpoint === undefined) return;
      endpoint.isQueued = false;
      if (!endpoint.isGone && endpoint.state === "idle") endpoint.pool.connect();
    }
  }

  /** Shortens the pauses of endpoints that fail. */
  hasten(nowMs: number): void {
    if (nowMs - this.#hastenedMs < hastenEveryMs) return;
    this.#hastenedMs = nowMs;
    for (const { state, pool } of this.#members.all) if (state === "failing") pool.connect();
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#queues.clear();
  }

  #queueOf({ priority, zone }: ClusterEndpoint): ClusterEndpoint[] {
    const isNear = this.#options.zone === undefined || zone === this.#options.zone;
    const rank = 2 * priority + (isNear ? 0 : 1);
    let queue = this.#queues.get(rank);
    if (queue === undefined) this.#queues.set(rank, (queue = []));
    return queue;
  }

  #takeNext(): ClusterEndpoint | undefined {
    let best: number | undefined;
    for (const [rank, { length }] of this.#queues) {
      if (length > 0 && (best === undefined || rank < best)) best = rank;
    }
    const queue = best === undefined ? undefined : this.#queues.get(best);
    if (!this.#options.oneIsEnough || queue === undefined) return queue?.pop();
    let first = queue[0];
    for (const endpoint of this.#members.all) {
      if (!endpoint.isQueued || !queue.includes(endpoint)) continue;
      first = endpoint;
      break;
    }
    if (first !== undefined) queue.splice(queue.indexOf(first), 1);
    return first;
  }
}
