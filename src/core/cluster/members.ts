import type { EndpointChange, KnownEndpoint } from "../discovery/endpoint-list.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { ConnectionPool, type CloseReason, type PoolParts } from "./connection-pool.ts";
import { ClusterEndpoint, type EndpointHost, type EndpointState } from "./endpoint.ts";
import { OutageRecord, type EjectionHost, type EjectionReason } from "./outlier.ts";
import { NewEndpoints } from "./new-endpoints.ts";

/** Is notified by the members of a cluster. */
export interface MembersListener {
  /** The state of an endpoint has changed, or another connection of it. @param before its state until now */
  endpointChanged(endpoint: ClusterEndpoint, before: EndpointState): void;
  /** A further stream can be opened. */
  roomMade(): void;
}

/** The endpoints of a cluster, each with its connections, and how many there are of each state. */
export class Members implements EndpointHost, EjectionHost<ClusterEndpoint> {
  /** How many endpoints are being connected. */
  connecting = 0;
  readonly #options: ClusterOptions;
  readonly #parts: PoolParts;
  readonly #listener: MembersListener;
  readonly #endpoints = new Map<string, ClusterEndpoint>();
  readonly #states: Record<EndpointState, number> = {
    idle: 0,
    connecting: 0,
    ready: 0,
    failing: 0,
    not_serving: 0,
    ejected: 0,
  };
  readonly #new: NewEndpoints;
  /** Endpoints that get calls by their weights. */
  #usable = 0;
  /** Endpoints whose ejection lasts, in any state. */
  #ejections = 0;

  constructor(options: ClusterOptions, parts: PoolParts, listener: MembersListener) {
    this.#options = options;
    this.#parts = parts;
    this.#listener = listener;
    this.#new = new NewEndpoints(options.slowStart);
  }

  /** How many endpoints there are of each state. */
  get states(): Readonly<Record<EndpointState, number>> {
    return this.#states;
  }

  /** The endpoints, in the order in which they were found. */
  get all(): Iterable<ClusterEndpoint> {
    return this.#endpoints.values();
  }

  /** Connections that are ready. */
  get connections(): number {
    let count = 0;
    for (const { pool } of this.all) {
      for (const { connection } of pool.connections) if (connection.state === "ready") count++;
    }
    return count;
  }

  /** What stays keeps its connections and figures; what goes gets no new calls. */
  update({ added, removed, changed }: EndpointChange): void {
    for (const { address } of removed) {
      const endpoint = this.#endpoints.get(address);
      if (endpoint !== undefined) this.#drop(endpoint, "removed");
    }
    for (const known of changed) {
      const endpoint = this.#endpoints.get(known.address);
      if (endpoint !== undefined) endpoint.known = known;
    }
    const areOriginal = this.#new.found(this.#endpoints.size === 0);
    for (const known of added) this.#add(known, areOriginal);
    this.#usable = 0;
    for (const { known } of this.all) if (known.weight > 0) this.#usable++;
  }

  /** Drops all endpoints. */
  clear(reason: "idle" | "removed"): void {
    for (const endpoint of this.all) this.#drop(endpoint, reason);
  }

  /** Closes further connections that nothing uses any more. */
  sweep(): void {
    for (const { pool } of this.all) pool.sweep();
  }

  /** The percentage counts with the ejection in question, of all endpoints that could get calls. */
  mayEject(endpoint: ClusterEndpoint, maxPercent: number): boolean {
    const others = this.#states.ready - (endpoint.state === "ready" ? 1 : 0);
    return !endpoint.isGone && others > 0 && (this.#ejections + 1) * 100 <= maxPercent * this.#usable;
  }

  ejected(endpoint: ClusterEndpoint, reason: EjectionReason): void {
    this.#ejections++;
    this.#options.books.ejected(this.#options.name, reason);
    this.changed(endpoint);
  }

  returned(endpoint: ClusterEndpoint): void {
    this.#ejections--;
    const windowMs = this.#options.outlier?.returnMs ?? 0;
    if (this.#states.ready > 0) this.#new.slow(endpoint, windowMs, this.#parts.clock.nowMs());
    this.changed(endpoint);
  }

  roomMade(): void {
    this.#listener.roomMade();
  }

  closed(reason: CloseReason): void {
    this.#options.books.closed(this.#options.name, reason);
  }

  #add(known: KnownEndpoint, isOriginal: boolean): void {
    const { pool: poolOptions, connection, name, health, outlier } = this.#options;
    const { clock } = this.#parts;
    const { address } = known;
    const endpoint = new ClusterEndpoint(
      known,
      this,
      clock.nowMs(),
      (listener) => new ConnectionPool(address, name, poolOptions, connection, listener, this.#parts),
    );
    endpoint.isOriginal = isOriginal;
    if (outlier !== undefined) endpoint.outages = new OutageRecord(endpoint, outlier, clock, this);
    if (health !== undefined) {
      endpoint.awaitsHealth = health.awaitsFirst;
      endpoint.check = health.check(address, (found) => {
        endpoint.health = found;
        endpoint.awaitsHealth = health.awaitsFirst && found === "unknown";
        this.changed(endpoint);
      });
    }
    this.#endpoints.set(known.address, endpoint);
    this.#states[endpoint.state]++;
  }

  #drop(endpoint: ClusterEndpoint, reason: "idle" | "removed"): void {
    this.#endpoints.delete(endpoint.known.address);
    this.#states[endpoint.state]--;
    if (endpoint.poolState === "connecting") this.connecting--;
    if (endpoint.outages?.isEjected === true) this.#ejections--;
    endpoint.isGone = true;
    endpoint.outages?.close();
    endpoint.check?.close();
    endpoint.pool.close(reason);
  }

  changed(endpoint: ClusterEndpoint): void {
    if (endpoint.isGone) return;
    this.#countPool(endpoint);
    const before = endpoint.state;
    const state = endpoint.stateNow;
    if (state !== before) {
      if (state === "ready") this.#new.ready(endpoint, this.#states.ready, this.#parts.clock.nowMs());
      this.#states[before]--;
      this.#states[state]++;
      endpoint.state = state;
    }
    this.#listener.endpointChanged(endpoint, before);
    endpoint.check?.follow(endpoint.pool.ready);
  }

  #countPool(endpoint: ClusterEndpoint): void {
    const { state } = endpoint.pool;
    if (endpoint.poolState === "connecting") this.connecting--;
    if (state === "connecting") this.connecting++;
    if (state === "ready" || state === "failing") endpoint.isJudged = true;
    endpoint.poolState = state;
  }
}
