import type { Resolver } from "../discovery/resolver.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import { systemClock } from "../time/clock.ts";
import type { Balance } from "./balance.ts";
import type { ClientBooks } from "./client-books.ts";
import type { PoolOptions, PoolParts } from "./connection-pool.ts";

/** What a cluster is made of. */
export interface ClusterOptions {
  /** First word of its errors, and label of its metrics. */
  readonly name: string;
  readonly resolver: Resolver;
  /** Whether the endpoints never change. */
  readonly isFixed: boolean;
  /** How long the last endpoints stay after an empty answer, in milliseconds. */
  readonly staleMs: number;
  readonly balance: Balance;
  readonly pool: PoolOptions;
  /** Options of each connection. */
  readonly connection: MergedConnectionOptions;
  /** Most calls that wait for a stream. */
  readonly maxQueuedCalls: number;
  readonly books: ClientBooks;
}

/** The state of a cluster, in the words of a connection. */
export type ClusterState = "idle" | "connecting" | "ready" | "transient-failure" | "closed";

/** Time and chance of this process. */
export const systemParts: PoolParts = { clock: systemClock, random: Math.random };
