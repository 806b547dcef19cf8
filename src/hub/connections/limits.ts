import { refusal } from "../../core/admission/refusal.ts";
import { Code, type ConnectError } from "../../core/errors/errors.ts";
import { retryInfo } from "../../core/errors/retry-info.ts";
import { retryMs } from "./close.ts";
import type { Entry } from "./entry.ts";
import type { Refusals } from "./refusals.ts";
import type { Table } from "./table.ts";

/** How many connections there may be. */
export interface LimitOptions {
  /** The most connections of this process; further ones are UNAVAILABLE with `RetryInfo`. Default: 20,000. */
  readonly maxConnections: number;
  /** The most connections of a user; 0 for any number. Default: 32. */
  readonly maxPerUser: number;
  /** The most connections from an IPv4 address, or from a network of 64 bits of IPv6; 0 for any number. Default: 0. */
  readonly maxPerAddress: number;
  /**
   * Whether a connection beyond `maxPerUser` is refused, RESOURCE_EXHAUSTED, or the oldest of the user ends in its place
   * as by `close` with `reconnect: false`. Default: `refuse`.
   */
  readonly onUserLimit: "refuse" | "close-oldest";
}

/** Why a connection was refused, as the metric `ts_ms_hub_refused_total` labels it. */
export type RefuseReason = "max_connections" | "max_per_user" | "max_per_address" | "closed";

/** Why a connection is refused, and the error. */
interface Refused {
  readonly reason: RefuseReason;
  readonly error: ConnectError;
}

/** Decides on connections by how many there are. */
export class Limits {
  readonly #options: LimitOptions;
  readonly #table: Table;
  readonly #refusals: Refusals;
  readonly #random: () => number;

  constructor(options: LimitOptions, table: Table, refusals: Refusals, random: () => number) {
    this.#options = options;
    this.#table = table;
    this.#refusals = refusals;
    this.#random = random;
  }

  /** Whether a client is refused for a while as its connections were closed. @param user undefined while unknown */
  forClosed(user: string | undefined, address: string): Refused | undefined {
    const error = this.#refusals.of(user, address);
    return error && { reason: "closed", error };
  }

  /** Whether one more connection from an address has to be refused. */
  forAddress(address: string): Refused | undefined {
    const closed = this.forClosed(undefined, address);
    if (closed !== undefined) return closed;
    const { maxConnections, maxPerAddress } = this.#options;
    if (this.#table.size >= maxConnections) {
      return {
        reason: "max_connections",
        error: refusal({
          kind: "overload",
          code: Code.Unavailable,
          reason: "MAX_CONNECTIONS",
          message: "too many connections are open",
          details: [retryInfo(retryMs(this.#random))],
        }),
      };
    }
    if (maxPerAddress === 0 || address === "" || this.#table.fromNetworkOf(address) < maxPerAddress)
      return undefined;
    return tooMany("max_per_address", "too many connections are open from this address");
  }

  /** Whether one more connection of a user has to be refused. */
  forUser(user: string | undefined, address: string): Refused | undefined {
    if (user === undefined) return undefined;
    const closed = this.forClosed(user, address);
    if (closed !== undefined) return closed;
    const { onUserLimit } = this.#options;
    if (onUserLimit !== "refuse" || !this.#isFull(user)) return undefined;
    return tooMany("max_per_user", "too many connections of this user are open");
  }

  /** The connection of a user that makes room for another one; undefined where there is room. */
  displaced(user: string | undefined): Entry | undefined {
    if (user === undefined || this.#options.onUserLimit === "refuse" || !this.#isFull(user)) return undefined;
    return this.#table.ofUser(user).find(({ closing }) => closing === undefined);
  }

  #isFull(user: string): boolean {
    const { maxPerUser } = this.#options;
    if (maxPerUser === 0) return false;
    const entries = this.#table.ofUser(user);
    if (entries.length < maxPerUser) return false;
    // Those that are being closed make room already.
    return entries.filter(({ closing }) => closing === undefined).length >= maxPerUser;
  }
}

function tooMany(reason: "max_per_user" | "max_per_address", message: string): Refused {
  const error = refusal({
    kind: "rate_limited",
    code: Code.ResourceExhausted,
    reason: reason.toUpperCase(),
    message,
  });
  return { reason, error };
}
