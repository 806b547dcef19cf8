import type { Socket } from "node:net";
import { SetupError } from "../errors/setup-error.ts";
import { ConnectionRate } from "./connection-rate.ts";

/** How many connections there may be. */
export interface ConnectionLimitOptions {
  /** Open connections of all servers that share the limit; 0 for any. Default: 0. */
  readonly maxConnections: number;
  /** Open connections of one address; 0 for any. Default: 0. */
  readonly maxConnectionsPerIp: number;
  /**
   * Connections that are accepted in a second, a tenth of them at once; 0 for any. Of clients that all come back at the same
   * time, as after the loss of other servers, it lets in as many as their handshakes leave time for the rest. Default: 0.
   */
  readonly maxPerSecond: number;
}

/** The defaults of `ConnectionLimitOptions`. */
export const connectionLimitDefaults: ConnectionLimitOptions = Object.freeze({
  maxConnections: 0,
  maxConnectionsPerIp: 0,
  maxPerSecond: 0,
});

/** A connection on which nothing happens. */
export interface IdleConnection {
  /** Since when, in `performance.now()` milliseconds. */
  readonly sinceMs: number;
  /** Closes it, unless something has begun on it. @returns whether it is closed */
  closeIfIdle(): boolean;
}

/** Names the idle connections of a server. */
export type IdleConnections = () => Iterable<IdleConnection>;

/** Idle connections that one look at all connections finds for those that come next. */
const kept = 64;
/** After a look that has found none, and after the process had no file for a connection, none is accepted for this time. */
const pauseMs = 100;

/**
 * Limits the connections of servers. At the limit the connection that was idle for the longest time is closed for a new
 * one; where none is idle, the new one is closed, before TLS. What is under way never ends.
 */
export class ConnectionLimit {
  #options: ConnectionLimitOptions;
  readonly #now: () => number;
  readonly #within: ConnectionLimit | undefined;
  readonly #sources = new Set<IdleConnections>();
  readonly #rate: ConnectionRate;
  readonly #byIp = new Map<string, number>();
  #open = 0;
  #refused = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #noneIdleUntilMs = Number.NEGATIVE_INFINITY;
  /** The one to close next is the last. */
  #idle: IdleConnection[] = [];

  /**
   * @param within a limit that counts these connections too, beside those of others
   * @param now a clock that never goes back, in milliseconds
   * @throws SetupError for a number that is none
   */
  constructor(
    options: Partial<ConnectionLimitOptions> = {},
    within?: ConnectionLimit,
    now: () => number = () => performance.now(),
  ) {
    this.#options = checked(options);
    this.#within = within;
    this.#now = now;
    this.#rate = new ConnectionRate(now);
  }

  /** Takes other numbers; connections that are open stay. @throws SetupError as the constructor */
  replace(options: Partial<ConnectionLimitOptions>): void {
    this.#options = checked(options);
  }

  /** Open connections. */
  get open(): number {
    return this.#open;
  }

  /** Connections that were closed at once since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** A server takes part. @returns ends that */
  add(idle: IdleConnections): () => void {
    this.#sources.add(idle);
    const leave = this.#within?.add(idle);
    return () => {
      this.#sources.delete(idle);
      leave?.();
    };
  }

  /** What the last connection that could not stay was above, for metrics. */
  refusedBy: "files" | "per_ip" | "max_connections" | "per_second" = "max_connections";

  /** A connection has come. @returns whether it may stay; otherwise it is closed */
  admits(socket: Socket): boolean {
    const ip = socket.remoteAddress ?? "";
    if (this.#hasPlace(ip)) {
      this.#count(socket, ip);
      return true;
    }
    this.#refused++;
    socket.destroy();
    return false;
  }

  /** The process has no file for another connection. */
  outOfFiles(): void {
    this.#pausedUntilMs = this.#now() + pauseMs;
    this.#within?.outOfFiles();
  }

  #hasPlace(ip: string): boolean {
    const { maxConnections, maxConnectionsPerIp, maxPerSecond } = this.#options;
    this.refusedBy = "files";
    if (this.#now() < this.#pausedUntilMs) return false;
    this.refusedBy = "per_ip";
    if (maxConnectionsPerIp > 0 && ip !== "" && (this.#byIp.get(ip) ?? 0) >= maxConnectionsPerIp)
      return false;
    this.refusedBy = "max_connections";
    if (maxConnections > 0 && this.#open >= maxConnections && !this.#closeIdle()) return false;
    if (this.#within !== undefined && !this.#within.#hasPlace(ip)) {
      this.refusedBy = this.#within.refusedBy;
      return false;
    }
    this.refusedBy = "per_second"; // The last question, since it counts those that may come.
    return maxPerSecond === 0 || this.#rate.admits(maxPerSecond);
  }

  #count(socket: Socket, ip: string): void {
    if (this.#within !== undefined) this.#within.#count(socket, ip);
    this.#open++;
    this.#byIp.set(ip, (this.#byIp.get(ip) ?? 0) + 1);
    socket.once("close", () => {
      this.#open--;
      const left = (this.#byIp.get(ip) ?? 1) - 1;
      if (left > 0) this.#byIp.set(ip, left);
      else this.#byIp.delete(ip);
    });
  }

  #closeIdle(): boolean {
    if (this.#closeKept()) return true;
    if (this.#now() < this.#noneIdleUntilMs) return false;
    const idle = [...this.#sources].flatMap((source) => [...source()]);
    // Of equals, the one that has come first is closed first.
    this.#idle = idle
      .toReversed()
      .sort((a, b) => b.sinceMs - a.sinceMs)
      .slice(-kept);
    if (this.#closeKept()) return true;
    this.#noneIdleUntilMs = this.#now() + pauseMs;
    return false;
  }

  #closeKept(): boolean {
    for (let oldest = this.#idle.pop(); oldest !== undefined; oldest = this.#idle.pop()) {
      if (oldest.closeIfIdle()) return true;
    }
    return false;
  }
}

function checked(options: Partial<ConnectionLimitOptions>): ConnectionLimitOptions {
  const all = { ...connectionLimitDefaults, ...options };
  for (const [name, value] of Object.entries(all)) {
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new SetupError(
      `connection limit: ${name} must be a whole number of at least 0, not ${String(value)}`,
    );
  }
  return all;
}
