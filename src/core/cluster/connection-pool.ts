import type { ConnectError } from "../errors/errors.ts";
import type { ConnectionOptions } from "../http2/connection-options.ts";
import type { ConnectionOwner } from "../http2/connection-state.ts";
import { Connection } from "../http2/http2-connection.ts";
import type { Clock } from "../time/clock.ts";

/** Connections to each endpoint. */
export interface PoolOptions {
  /** Most connections to one endpoint: another is made when calls wait because all are full. Default: 8. */
  readonly max: number;
  /**
   * Age at which a connection is replaced, in milliseconds, +/-10 %; 0 for never. The next one is ready before, and
   * calls in flight end on the old one. Default: 0.
   */
  readonly maxAgeMs: number;
  /** Time without calls after which connections are closed, until the next call, in milliseconds. Default: 1,800,000. */
  readonly idleTimeoutMs: number;
  /** How many endpoints are connected to at the same time. Default: 10. */
  readonly atOnce: number;
}

/** The defaults of `PoolOptions`. */
export const poolDefaults: PoolOptions = Object.freeze({
  max: 8,
  maxAgeMs: 0,
  idleTimeoutMs: 1_800_000,
  atOnce: 10,
});

/** The state of the connections to one endpoint. */
export type PoolState = "idle" | "connecting" | "ready" | "failing";

/**
 * Why a connection to an endpoint has ended: the server said so by GOAWAY; it was old enough, or without calls for long
 * enough; it was lost; or its endpoint is no longer one.
 */
export type CloseReason = "goaway" | "age" | "idle" | "lost" | "removed";

/** Is notified by a pool. */
export interface PoolListener {
  /** The state may have changed. */
  changed(): void;
  /** A further stream can be opened. */
  roomMade(): void;
  /** A connection that was ready has ended, or gets no new calls. */
  closed(reason: CloseReason): void;
}

/** Time and chance of a pool. */
export interface PoolParts {
  readonly clock: Clock;
  readonly random: () => number;
}

/** Pause before another attempt to replace a connection, in milliseconds. */
const nextReplaceMs = 1_000;

/** The pool of a connection. */
interface PoolOfConnection {
  readonly upstream: string;
  readonly listener: PoolListener;
  /** The state of a connection has changed. */
  connectionChanged(pooled: PooledConnection): void;
}

/** One of the connections to an endpoint. */
export class PooledConnection implements ConnectionOwner {
  readonly connection: Connection;
  /** Calls in flight on it. */
  busy = 0;
  /** When the last call on it ended. */
  usedMs: number;
  /** The connection that this one replaces as soon as it is ready. */
  readonly replaces: PooledConnection | undefined;
  cancelAge: (() => void) | undefined;
  /** GOAWAY frames that had come as it became ready; undefined while it is not. */
  goaways: number | undefined;
  readonly #pool: PoolOfConnection;

  constructor(
    pool: PoolOfConnection,
    connect: (owner: ConnectionOwner) => Connection,
    nowMs: number,
    replaces: PooledConnection | undefined,
  ) {
    this.#pool = pool;
    this.usedMs = nowMs;
    this.replaces = replaces;
    this.connection = connect(this);
  }

  get upstream(): string {
    return this.#pool.upstream;
  }

  changed(): void {
    this.#pool.connectionChanged(this);
  }

  roomMade(): void {
    this.#pool.listener.roomMade();
  }

  replaced(): void {
    this.#pool.listener.closed("age");
  }

  /** Calls in flight end; there are no new ones. */
  close(): void {
    this.cancelAge?.();
    this.connection.close();
  }
}

/**
 * The connections to one endpoint: one, and more of them while calls wait because the server's limit of streams is
 * reached. It connects only when it is asked to.
 */
export class ConnectionPool implements PoolOfConnection {
  readonly upstream: string;
  readonly listener: PoolListener;
  readonly #address: string;
  readonly #options: PoolOptions;
  readonly #connectionOptions: Partial<ConnectionOptions>;
  readonly #parts: PoolParts;
  /** In the order in which they are filled. */
  #connections: PooledConnection[] = [];

  /** @param upstream label of metrics */
  constructor(
    address: string,
    upstream: string,
    options: PoolOptions,
    connectionOptions: Partial<ConnectionOptions>,
    listener: PoolListener,
    parts: PoolParts,
  ) {
    this.#address = address;
    this.upstream = upstream;
    this.#options = options;
    this.#connectionOptions = connectionOptions;
    this.listener = listener;
    this.#parts = parts;
  }

  get state(): PoolState {
    const states = this.#connections.map(({ connection }) => connection.state);
    if (states.includes("ready")) return "ready";
    if (states.includes("connecting")) return "connecting";
    return states.includes("transient-failure") ? "failing" : "idle";
  }

  /** The connections there are, in any state. */
  get connections(): readonly PooledConnection[] {
    return this.#connections;
  }

  /** The first connection that is ready. */
  get ready(): Connection | undefined {
    return this.#connections.find(({ connection }) => connection.state === "ready")?.connection;
  }

  /** Why the last attempt to connect failed; undefined if it did not. */
  get failure(): ConnectError | undefined {
    return this.#connections[0]?.connection.failure;
  }

  /** A connection on which a stream can be opened now: the first, so that others become idle. */
  withRoom(): PooledConnection | undefined {
    for (const pooled of this.#connections) if (pooled.connection.hasRoom) return pooled;
    return undefined;
  }

  /** Begins to connect, unless that has begun; shortens a pause after a failure. */
  connect(): void {
    const first = this.#connections[0] ?? this.#add(undefined);
    first.connection.connect();
  }

  /** Makes another connection, if there may be one and none is being made. */
  grow(): void {
    if (this.#connections.length >= this.#options.max) return;
    if (this.#connections.some(({ connection }) => connection.state !== "ready")) return;
    this.#add(undefined).connection.connect();
  }

  /** Closes further connections that nothing has used for `idleTimeoutMs`. */
  sweep(): void {
    const beforeMs = this.#parts.clock.nowMs() - this.#options.idleTimeoutMs;
    for (const pooled of this.#connections.slice(1)) {
      if (pooled.busy === 0 && pooled.usedMs <= beforeMs) this.#remove(pooled, "idle");
    }
  }

  /** Closes all connections; calls in flight end on them. */
  close(reason: "idle" | "removed"): void {
    for (const pooled of this.#connections.splice(0)) this.#close(pooled, reason);
  }

  #add(replaces: PooledConnection | undefined): PooledConnection {
    const { clock, random } = this.#parts;
    const address = (): string => this.#address;
    const added = new PooledConnection(
      this,
      (owner) => new Connection(address, this.#connectionOptions, random, owner, clock),
      clock.nowMs(),
      replaces,
    );
    this.#connections.push(added);
    return added;
  }

  #remove(pooled: PooledConnection, reason: CloseReason): void {
    this.#connections = this.#connections.filter((other) => other !== pooled);
    this.#close(pooled, reason);
  }

  #close(pooled: PooledConnection, reason: CloseReason): void {
    this.#ended(pooled, reason);
    pooled.close();
  }

  #ended(pooled: PooledConnection, reason: CloseReason): void {
    if (pooled.goaways !== undefined) this.listener.closed(reason);
    pooled.goaways = undefined;
  }

  connectionChanged(pooled: PooledConnection): void {
    if (!this.#connections.includes(pooled)) return;
    const { state } = pooled.connection;
    if (state === "ready") {
      pooled.goaways = pooled.connection.stats.goaways;
      this.#watchAge(pooled);
      const { replaces } = pooled;
      if (replaces !== undefined && this.#connections.includes(replaces)) this.#remove(replaces, "age");
    } else {
      this.#lost(pooled);
      if (state !== "connecting") {
        pooled.cancelAge?.();
        if (this.#connections.length > 1) this.#giveUp(pooled);
      }
    }
    this.listener.changed();
  }

  /** A connection has ended by itself, if it was ready. */
  #lost(pooled: PooledConnection): void {
    const { goaways } = pooled.connection.stats;
    this.#ended(pooled, goaways > (pooled.goaways ?? goaways) ? "goaway" : "lost");
  }

  /** One of several connections is lost, or could not be made: the others are enough. */
  #giveUp(pooled: PooledConnection): void {
    this.#remove(pooled, "lost");
    const { replaces } = pooled;
    if (replaces !== undefined) this.#replaceIn(replaces, nextReplaceMs);
  }

  #watchAge(pooled: PooledConnection): void {
    const { maxAgeMs } = this.#options;
    if (maxAgeMs > 0) this.#replaceIn(pooled, maxAgeMs * (0.9 + 0.2 * this.#parts.random()));
  }

  #replaceIn(pooled: PooledConnection, afterMs: number): void {
    pooled.cancelAge?.();
    pooled.cancelAge = this.#parts.clock.after(
      afterMs,
      () => {
        if (this.#connections.includes(pooled)) this.#add(pooled).connection.connect();
      },
      false,
    );
  }
}
