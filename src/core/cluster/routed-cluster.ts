import type { RoutedGroup, RoutedResolver, RoutedTarget } from "../discovery/routed-resolver.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import type { CallHead, StreamSource, StreamSources } from "../http2/stream-source.ts";
import type { Cluster } from "./cluster.ts";
import { systemParts, type ClusterState } from "./cluster-options.ts";
import type { PoolParts } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import { closedError, unavailable } from "./refusals.ts";
import { RoutedCall, type RoutedHost } from "./routed-call.ts";
import { GroupMember } from "./routed-group.ts";
import { untilReady, type AwaitedCluster } from "./until-ready.ts";

/** What a routed cluster is made of. */
export interface RoutedClusterOptions {
  /** First word of errors, and label of metrics. */
  readonly name: string;
  readonly resolver: RoutedResolver;
  readonly connection: MergedConnectionOptions;
  /** Makes the cluster of a group. */
  readonly make: (group: RoutedGroup) => Cluster;
}

/** The states of a cluster, the best first. */
const states: readonly ClusterState[] = ["ready", "connecting", "idle", "transient-failure"];

/** The endpoints of a target whose calls are routed: a cluster for each group of them. */
export class RoutedCluster implements StreamSources, AwaitedCluster, RoutedHost {
  readonly name: string;
  readonly options: MergedConnectionOptions;
  readonly clock: PoolParts["clock"];
  readonly random: () => number;
  readonly #given: RoutedClusterOptions;
  readonly #closed = new AbortController();
  readonly #waiting = new Set<RoutedCall>();
  readonly #watchers = new Set<() => void>();
  #members = new Map<string, GroupMember>();
  #isStarted = false;
  /** Undefined before the first answer of the resolver. */
  #target: RoutedTarget | undefined;
  /** Of a resolver that has never had an answer. */
  #failure: ConnectError | undefined;

  constructor(options: RoutedClusterOptions, { clock, random }: PoolParts = systemParts) {
    this.name = options.name;
    this.options = options.connection;
    this.#given = options;
    this.clock = clock;
    this.random = random;
  }

  /** The clusters of all groups. */
  get clusters(): readonly Cluster[] {
    return [...this.#members.values()].map(({ cluster }) => cluster);
  }

  /** The endpoints of all groups. */
  get members(): readonly ClusterEndpoint[] {
    return this.clusters.flatMap(({ members }) => members);
  }

  get state(): ClusterState {
    if (this.#closed.signal.aborted) return "closed";
    if (!this.#isStarted) return "idle";
    if (this.#target === undefined) return this.#failure === undefined ? "connecting" : "transient-failure";
    const all = this.clusters.map(({ state }) => state);
    return states.find((state) => all.includes(state)) ?? "transient-failure";
  }

  /** How the rpcs of a service are called; those of the first group, before the first answer none. */
  readonly policies: Pick<Cluster["policies"], "lines"> = {
    lines: (service) => this.clusters[0]?.policies.lines(service) ?? [],
  };

  sourceOf(head: CallHead): StreamSource {
    return new RoutedCall(this, head);
  }

  admit(call: RoutedCall): void {
    if (this.#closed.signal.aborted) call.refuse(closedError(this.name));
    else {
      this.#start();
      if (this.#target !== undefined) call.run(this.#target);
      else if (this.#failure !== undefined) call.refuse(this.#failure);
      else this.#waiting.add(call);
    }
  }

  forget(call: RoutedCall): void {
    this.#waiting.delete(call);
  }

  group(name: string): GroupMember | undefined {
    return this.#members.get(name);
  }

  /**
   * Connects and resolves as soon as calls can be made to one of the groups.
   *
   * @throws ConnectError UNAVAILABLE if `signal` fires before, or the cluster is closed.
   */
  ready(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted !== true && !this.#closed.signal.aborted) this.#start();
    return untilReady(this, signal);
  }

  hasten(): void {
    for (const cluster of this.clusters) cluster.hasten();
  }

  /** Calls `fn` at every change of endpoints or of their states. @returns a function that ends that */
  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  /** Calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    for (const call of [...this.#waiting]) call.refuse(closedError(this.name));
    for (const { cluster } of this.#members.values()) cluster.close();
    this.#notify();
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#given.resolver.watchRoutes(
      {
        update: (target) => this.#update(target),
        failed: (error) => this.#failed(error),
      },
      this.#closed.signal,
    );
  }

  #update(target: RoutedTarget): void {
    if (this.#closed.signal.aborted) return;
    const before = this.#members;
    this.#members = new Map();
    for (const [name, group] of target.groups) {
      const old = before.get(name);
      const isSame = old?.fits(group) === true;
      const member = isSame && old !== undefined ? old : this.#make(group);
      member.maxRequests = group.maxRequests;
      this.#members.set(name, member);
      if (isSame) before.delete(name);
    }
    this.#target = target;
    this.#failure = undefined;
    for (const member of before.values()) member.retire();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) call.run(target);
    this.#notify();
  }

  #make(group: RoutedGroup): GroupMember {
    const cluster = this.#given.make(group);
    cluster.onChange(() => this.#notify());
    cluster.use(this.clock.nowMs()); // All endpoints are connected at the begin.
    return new GroupMember(this.name, group, cluster);
  }

  #failed(error: ConnectError): void {
    if (this.#target !== undefined || this.#closed.signal.aborted) return;
    this.#failure = unavailable(`${this.name}: no endpoint (${error.rawMessage})`, error);
    for (const call of [...this.#waiting]) call.refuse(this.#failure);
    this.#notify();
  }

  #notify(): void {
    for (const fn of [...this.#watchers]) fn();
  }
}
