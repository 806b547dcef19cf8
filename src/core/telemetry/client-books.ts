import type { DescMethod } from "@bufbuild/protobuf";
import type {
  AttemptKind,
  ClientBooks,
  CountedCluster,
  Rejection,
  RpcBooks,
} from "../cluster/client-books.ts";
import type { RetryDenial } from "../resilience/retry.ts";
import type { EjectionReason } from "../cluster/outlier.ts";
import type { CloseReason } from "../cluster/connection-pool.ts";
import type { LookResult } from "../discovery/endpoint-watch.ts";
import { Durations } from "./durations.ts";

/** Counts of one rpc that clusters of one name call. */
export class ClientSeries implements RpcBooks {
  readonly labels: { readonly upstream: string; readonly service: string; readonly method: string };
  readonly durations = new Durations();
  // What nearly all calls count has fields of its own.
  #first = 0;
  #ok = 0;
  readonly #furtherAttempts = new Map<AttemptKind, number>();
  readonly #failed = new Map<number, number>();

  constructor(upstream: string, { parent, name }: DescMethod) {
    this.labels = { upstream, service: parent.typeName, method: name };
  }

  /** Attempts by their kind. */
  get attempts(): ReadonlyMap<AttemptKind, number> {
    return new Map([["first", this.#first], ...this.#furtherAttempts]);
  }

  /** Calls that ended, by their codes; those that there were. */
  get finishedByCode(): ReadonlyMap<number, number> {
    return this.#ok === 0 ? this.#failed : new Map([[0, this.#ok], ...this.#failed]);
  }

  attempt(kind: AttemptKind): void {
    if (kind === "first") this.#first++;
    else this.#furtherAttempts.set(kind, (this.#furtherAttempts.get(kind) ?? 0) + 1);
  }

  finished(code: number, tookMs: number): void {
    if (code === 0) this.#ok++;
    else this.#failed.set(code, (this.#failed.get(code) ?? 0) + 1);
    this.durations.observe(tookMs / 1_000);
  }
}

/** How long the counts of an upstream that is gone are kept, in milliseconds: a scrape or two see its last ones. */
const keptMs = 600_000;

/**
 * What is counted of all clusters of this process; the metrics page reads it. The counts of an upstream whose last
 * cluster was closed are dropped after ten minutes, since upstreams of a catalog come and go under ever new names.
 */
export class ClientCounts implements ClientBooks {
  readonly clusters = new Set<CountedCluster>();
  /** Calls that were refused on this side, and that got no further attempt, by their reasons; for each upstream. */
  readonly rejections = new Map<string, Map<Rejection, number>>();
  readonly denials = new Map<string, Map<RetryDenial, number>>();
  /** Waits for a place among the calls under way, by cluster. */
  readonly waits = new Map<string, Durations>();
  /** By cluster, and by reason. */
  readonly ejections = new Map<string, Map<EjectionReason, number>>();
  /** Looks of resolvers, by their results, and ends of connections, by their reasons; for each upstream. */
  readonly looks = new Map<string, Map<LookResult, number>>();
  readonly closings = new Map<string, Map<CloseReason, number>>();
  /** Services that were left out, by their reasons; for each upstream. */
  readonly refusals = new Map<string, Map<string, number>>();
  readonly #series = new Map<string, Map<DescMethod, ClientSeries>>();
  readonly #after: (ms: number, fn: () => void) => () => void;
  /** Cancels the end of the counts of upstreams that are gone. */
  readonly #ends = new Map<string, () => void>();

  /** @param after calls a function later; returns what cancels that. Default: by a timer that does not keep the process */
  constructor(after: (ms: number, fn: () => void) => () => void = later) {
    this.#after = after;
  }

  open(cluster: CountedCluster): () => void {
    const { name } = cluster;
    this.clusters.add(cluster);
    this.#ends.get(name)?.();
    this.#ends.delete(name);
    return () => {
      if (!this.clusters.delete(cluster) || [...this.clusters].some((other) => other.name === name)) return;
      this.#ends.set(
        name,
        this.#after(keptMs, () => this.#forget(name)),
      );
    };
  }

  rpc(cluster: string, method: DescMethod): ClientSeries {
    let methods = this.#series.get(cluster);
    if (methods === undefined) this.#series.set(cluster, (methods = new Map<DescMethod, ClientSeries>()));
    let series = methods.get(method);
    if (series === undefined) methods.set(method, (series = new ClientSeries(cluster, method)));
    return series;
  }

  rejected(cluster: string, reason: Rejection): void {
    countOne(this.rejections, cluster, reason);
  }

  denied(cluster: string, reason: RetryDenial): void {
    countOne(this.denials, cluster, reason);
  }

  waited(cluster: string, tookMs: number): void {
    let waits = this.waits.get(cluster);
    if (waits === undefined) this.waits.set(cluster, (waits = new Durations()));
    waits.observe(tookMs / 1_000);
  }

  ejected(cluster: string, reason: EjectionReason): void {
    countOne(this.ejections, cluster, reason);
  }

  looked(cluster: string, result: LookResult): void {
    countOne(this.looks, cluster, result);
  }

  closed(cluster: string, reason: CloseReason): void {
    countOne(this.closings, cluster, reason);
  }

  /** A service of an upstream was left out. */
  refused(upstream: string, reason: string): void {
    countOne(this.refusals, upstream, reason);
  }

  #forget(upstream: string): void {
    this.#ends.delete(upstream);
    this.#series.delete(upstream);
    const { rejections, denials, waits, ejections, looks, closings, refusals } = this;
    for (const counts of [rejections, denials, waits, ejections, looks, closings, refusals]) {
      counts.delete(upstream);
    }
  }

  /** The counts of all rpcs. */
  get series(): ClientSeries[] {
    return [...this.#series.values()].flatMap((methods) => [...methods.values()]);
  }
}

function countOne<T>(all: Map<string, Map<T, number>>, cluster: string, kind: T): void {
  let counts = all.get(cluster);
  if (counts === undefined) all.set(cluster, (counts = new Map<T, number>()));
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

function later(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms).unref();
  return () => clearTimeout(timer);
}

/** The counts of this process. */
export const clientCounts = new ClientCounts();
