import type { ClusterEndpoint } from "./endpoint.ts";
import type { Members } from "./members.ts";

/** How a cluster connects to its endpoints. */
export interface ConnectTurnsOptions {
  /** How many endpoints are connected to at the same time. */
  readonly atOnce: number;
  /** Whether one connected endpoint is enough, the first of the list that can be reached. */
  readonly oneIsEnough: boolean;
}

/** Calls shorten the pauses of endpoints that fail, which are looked through once in this time, in milliseconds. */
const hastenEveryMs = 250;

/** The order in which endpoints are connected: by chance, so that clients do not all begin with the same one. */
export class ConnectTurns {
  readonly #members: Members;
  readonly #options: ConnectTurnsOptions;
  readonly #random: () => number;
  /** Endpoints that are to be connected; the turn of the last one comes first. */
  readonly #queue: ClusterEndpoint[] = [];
  #hastenedMs = Number.NEGATIVE_INFINITY;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(members: Members, options: ConnectTurnsOptions, random: () => number) {
    this.#members = members;
    this.#options = options;
    this.#random = random;
  }

  /** Whether an endpoint waits for its turn. */
  get hasWaiting(): boolean {
    return this.#queue.some(({ state, isGone }) => state === "idle" && !isGone);
  }

  /** Gives turns to the endpoints that have no connection yet. */
  add(endpoints: Iterable<ClusterEndpoint>): void {
    for (const endpoint of endpoints) {
      if (endpoint.isQueued || endpoint.weight === 0 || endpoint.state !== "idle") continue;
      endpoint.isQueued = true;
      const place = Math.floor(this.#random() * (this.#queue.length + 1));
      const other = this.#queue[place] ?? endpoint;
      this.#queue[place] = endpoint;
      if (other !== endpoint) this.#queue.push(other);
    }
  }

  /** Connects the endpoints whose turn it is. */
  connect(): void {
    const { states } = this.#members;
    const { atOnce, oneIsEnough } = this.#options;
    const most = oneIsEnough ? 1 : atOnce;
    while (states.connecting < most) {
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
    this.#queue.length = 0;
  }

  #takeNext(): ClusterEndpoint | undefined {
    if (!this.#options.oneIsEnough) return this.#queue.pop();
    let first = this.#queue[0];
    for (const endpoint of this.#members.all) {
      if (!endpoint.isQueued) continue;
      first = endpoint;
      break;
    }
    if (first !== undefined) this.#queue.splice(this.#queue.indexOf(first), 1);
    return first;
  }
}
