import type { DescMethod } from "@bufbuild/protobuf";
import type { AttemptKind, ClientBooks, CountedCluster, RpcBooks } from "../cluster/client-books.ts";
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

/** What is counted of all clusters of this process; the metrics page reads it. */
export class ClientCounts implements ClientBooks {
  readonly clusters = new Set<CountedCluster>();
  readonly rejections = new Map<string, number>();
  /** Services that were left out, by upstream and reason. */
  readonly refusals = new Map<
    string,
    { readonly upstream: string; readonly reason: string; count: number }
  >();
  readonly #series = new Map<string, Map<DescMethod, ClientSeries>>();

  open(cluster: CountedCluster): () => void {
    this.clusters.add(cluster);
    return () => this.clusters.delete(cluster);
  }

  rpc(cluster: string, method: DescMethod): ClientSeries {
    let methods = this.#series.get(cluster);
    if (methods === undefined) this.#series.set(cluster, (methods = new Map<DescMethod, ClientSeries>()));
    let series = methods.get(method);
    if (series === undefined) methods.set(method, (series = new ClientSeries(cluster, method)));
    return series;
  }

  rejected(cluster: string): void {
    this.rejections.set(cluster, (this.rejections.get(cluster) ?? 0) + 1);
  }

  /** A service of an upstream was left out. */
  refused(upstream: string, reason: string): void {
    const key = `${upstream}\n${reason}`;
    const known = this.refusals.get(key);
    if (known === undefined) this.refusals.set(key, { upstream, reason, count: 1 });
    else known.count++;
  }

  /** The counts of all rpcs. */
  get series(): ClientSeries[] {
    return [...this.#series.values()].flatMap((methods) => [...methods.values()]);
  }
}

/** The counts of this process. */
export const clientCounts = new ClientCounts();
