import { Cluster } from "../../src/core/cluster/cluster.ts";
import type { ClusterOptions } from "../../src/core/cluster/cluster-options.ts";
import { poolDefaults } from "../../src/core/cluster/connection-pool.ts";
import { outlierDefaults } from "../../src/core/cluster/outlier.ts";
import type { Endpoint, ResolverListener } from "../../src/core/discovery/resolver.ts";
import { mergeConnectionOptions } from "../../src/core/http2/connection-options.ts";
import { Plans } from "../../src/core/policy/plans.ts";
import { retryBudgetDefaults } from "../../src/core/resilience/retry-budget.ts";
import { clientCounts } from "../../src/core/telemetry/client-books.ts";
import type { Backends } from "./backends.ts";
import type { Timeline } from "./timeline.ts";

/** Connections without calls are kept: not every scenario has calls. In milliseconds. */
const neverMs = 2 ** 40;

/** How gateways call the servers behind them. */
export interface GatewayOptions {
  readonly gateways: number;
  /** Endpoints that each uses. */
  readonly subset: number;
  /** Whether each knows its number among the others. */
  readonly areNumbered: boolean;
  /** Age of their connections, in milliseconds; 0 for any. */
  readonly maxAgeMs: number;
}

/** What finds the backends for all gateways: each sees a change at the same moment, as from Consul's watches. */
class Discovery {
  readonly name = "simulation";
  readonly #listeners = new Set<ResolverListener>();
  #endpoints: readonly Endpoint[];

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  watch(listener: ResolverListener, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener));
    listener.update(this.#endpoints);
  }

  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    for (const listener of [...this.#listeners]) listener.update(endpoints);
  }
}

/** The client side of many gateways: a cluster of the library for each, on connections without bytes. */
export class Gateways {
  readonly clusters: Cluster[] = [];
  readonly #options: GatewayOptions;
  readonly #timeline: Timeline;
  readonly #random: () => number;
  readonly #backends: Backends;
  readonly #discovery: Discovery;

  constructor(options: GatewayOptions, backends: Backends, timeline: Timeline, random: () => number) {
    this.#options = options;
    this.#timeline = timeline;
    this.#random = random;
    this.#backends = backends;
    this.#discovery = new Discovery(backends.all.map(({ endpoint }) => endpoint));
    for (let number = 0; number < options.gateways; number++) this.clusters.push(this.#cluster(number));
  }

  /** All of them connect. */
  async start(): Promise<void> {
    for (const cluster of this.clusters) void cluster.ready();
    this.#timeline.promised();
    await this.#timeline.until(this.#timeline.nowMs() + 10_000);
  }

  /** The process of one of them is replaced. */
  restart(number: number): void {
    this.clusters[number]?.close();
    const cluster = this.#cluster(number);
    this.clusters[number] = cluster;
    void cluster.ready();
  }

  /** Discovery has found out which backends are up. */
  discover(): void {
    this.#discovery.update(this.#backends.all.filter(({ isUp }) => isUp).map(({ endpoint }) => endpoint));
  }

  close(): void {
    for (const cluster of this.clusters) cluster.close();
  }

  #cluster(number: number): Cluster {
    const { subset, areNumbered, maxAgeMs } = this.#options;
    const options: ClusterOptions = {
      name: "backends",
      resolver: this.#discovery,
      isFixed: false,
      staleMs: 30_000,
      balance: { policy: "p2c" },
      pool: { ...poolDefaults, maxAgeMs, idleTimeoutMs: neverMs },
      connection: mergeConnectionOptions({ connectBy: this.#backends.connectBy }),
      maxQueuedCalls: 10_000,
      books: clientCounts,
      plans: new Plans(),
      retryBudget: retryBudgetDefaults,
      outlier: outlierDefaults,
      subset,
      subsetIndex: areNumbered ? number : undefined,
    };
    return new Cluster(options, { clock: this.#timeline, random: this.#random });
  }
}
