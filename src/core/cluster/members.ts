import type { EndpointChange, KnownEndpoint } from "../discovery/endpoint-list.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { ConnectionPool, type CloseReason, type EndpointState, type PoolParts } from "./connection-pool.ts";
import { ClusterEndpoint } from "./endpoint.ts";
import { EndpointLoad } from "./endpoint-load.ts";

/** Is notified by the members of a cluster. */
export interface MembersListener {
  /** The state of an endpoint has changed, or another connection of it. @param before its state until now */
  endpointChanged(endpoint: ClusterEndpoint, before: EndpointState): void;
  /** A further stream can be opened. */
  roomMade(): void;
}

/** The endpoints of a cluster, each with its connections, and how many there are of each state. */
export class Members {
  readonly #options: ClusterOptions;
  readonly #parts: PoolParts;
  readonly #listener: MembersListener;
  readonly #endpoints = new Map<string, ClusterEndpoint>();
  readonly states: Readonly<Record<EndpointState, number>>;
  readonly #states: Record<EndpointState, number> = { idle: 0, connecting: 0, ready: 0, failing: 0 };

  constructor(options: ClusterOptions, parts: PoolParts, listener: MembersListener) {
    this.#options = options;
    this.#parts = parts;
    this.#listener = listener;
    this.states = this.#states;
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
    for (const known of added) this.#add(known);
  }

  /** Drops all endpoints. */
  clear(reason: "idle" | "removed"): void {
    for (const endpoint of this.all) this.#drop(endpoint, reason);
  }

  /** Closes further connections that nothing uses any more. */
  sweep(): void {
    for (const { pool } of this.all) pool.sweep();
  }

  #add(known: KnownEndpoint): void {
    const { pool: poolOptions, connection, name, books } = this.#options;
    const listener = {
      changed: () => this.#changed(endpoint),
      roomMade: () => this.#listener.roomMade(),
      closed: (reason: CloseReason) => books.closed(name, reason),
    };
    const pool = new ConnectionPool(known.address, name, poolOptions, connection, listener, this.#parts);
    const endpoint = new ClusterEndpoint(known, pool, new EndpointLoad(this.#parts.clock.nowMs()));
    this.#endpoints.set(known.address, endpoint);
    this.#states[endpoint.state]++;
  }

  #drop(endpoint: ClusterEndpoint, reason: "idle" | "removed"): void {
    this.#endpoints.delete(endpoint.known.address);
    this.#states[endpoint.state]--;
    endpoint.isGone = true;
    endpoint.pool.close(reason);
  }

  #changed(endpoint: ClusterEndpoint): void {
    if (endpoint.isGone) return;
    const before = endpoint.state;
    const { state } = endpoint.pool;
    if (state !== before) {
      this.#states[before]--;
      this.#states[state]++;
      endpoint.state = state;
    }
    this.#listener.endpointChanged(endpoint, before);
  }
}
