import type { Resolver } from "../discovery/resolver.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import type { Plans } from "../policy/plans.ts";
import type { RetryBudgetOptions } from "../resilience/retry-budget.ts";
import type { RetryTokensOptions } from "../resilience/retry-tokens.ts";
import { systemClock } from "../time/clock.ts";
import type { Balance } from "./balance.ts";
import type { ClientObserver } from "./client-observer.ts";
import type { ClientBooks } from "./client-books.ts";
import type { PoolOptions, PoolParts } from "./connection-pool.ts";
import type { HealthChecks } from "./health.ts";
import type { OutlierOptions } from "./outlier.ts";
import type { SlowStartOptions } from "./ramp.ts";

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
  /** How calls are made. */
  readonly plans: Plans;
  /** Default: none. */
  readonly observers?: readonly ClientObserver[];
  /** How many further attempts calls may make. */
  readonly retryBudget: RetryBudgetOptions;
  /** gRPC's count of tokens, in place of the budget. Default: none. */
  readonly retryTokens?: RetryTokensOptions | undefined;
  /** The zone of this process. Default: none. */
  readonly zone?: string | undefined;
  /** What the zone decides: nothing, the share of its endpoints, or which endpoints there are. Default: `off`. */
  readonly zoneMode?: ZoneMode;
  /** Of each priority, so many endpoints are used; 0 for all. Default: 0. */
  readonly subset?: number;
  /** The number of this process among its equals, from 0, by which its subset is chosen. Default: by chance. */
  readonly subsetIndex?: number | undefined;
  /** Default: `slowStartDefaults`. */
  readonly slowStart?: SlowStartOptions;
  /** Active checks. Default: none. */
  readonly health?: HealthChecks | undefined;
  /** When endpoints that fail are ejected. Default: never. */
  readonly outlier?: OutlierOptions | undefined;
}

/** What the zone of a client decides. */
export type ZoneMode = "off" | "prefer" | "hints";

/** The state of a cluster, in the words of a connection. */
export type ClusterState = "idle" | "connecting" | "ready" | "transient-failure" | "closed";

/** Time and chance of this process. */
export const systemParts: PoolParts = { clock: systemClock, random: Math.random };
