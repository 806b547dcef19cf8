import type { DescMethod } from "@bufbuild/protobuf";
import type { Cluster } from "../cluster/cluster.ts";
import type { DialStats } from "./dial-stats.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import { LateSource } from "../http2/late-source.ts";
import type { AttemptedCall, CallHead, StreamSource, StreamSources } from "../http2/stream-source.ts";

/** A cluster as transports see it. */
export type CalledCluster = Pick<
  Cluster,
  "state" | "members" | "sourceOf" | "ready" | "onChange" | "close"
> & { readonly policies: Pick<Cluster["policies"], "lines"> };

/** A cluster, and its figures. */
export interface LoadedCluster {
  readonly cluster: CalledCluster;
  readonly stats: () => DialStats;
}

/** A cluster that is loaded when it is needed. */
export class LazyCluster implements StreamSources {
  readonly options: MergedConnectionOptions;
  readonly #load: () => Promise<LoadedCluster>;
  readonly #know: ((method: DescMethod) => void) | undefined;
  #loading: Promise<CalledCluster> | undefined;
  #cluster: CalledCluster | undefined;
  #stats: () => DialStats = () => ({ endpoints: [] });
  #isClosed = false;
  readonly #watchers = new Set<() => void>();

  /** @param know called once for each rpc before it is called. Default: nothing */
  constructor(
    options: MergedConnectionOptions,
    load: () => Promise<LoadedCluster>,
    know?: (method: DescMethod) => void,
  ) {
    this.options = options;
    this.#load = load;
    this.#know = know;
  }

  know(method: DescMethod): void {
    this.#know?.(method);
  }

  /** The cluster; undefined before it is loaded. */
  get loaded(): CalledCluster | undefined {
    return this.#cluster;
  }

  get state(): Cluster["state"] {
    if (this.#cluster !== undefined) return this.#cluster.state;
    if (this.#isClosed) return "closed";
    return this.#loading === undefined ? "idle" : "connecting";
  }

  /** Figures of now; no endpoints before the cluster is loaded. */
  stats(): DialStats {
    return this.#stats();
  }

  sourceOf(head: CallHead): StreamSource {
    return this.#cluster?.sourceOf(head) ?? new EarlyCall(head, () => this.#whole());
  }

  async ready(signal?: AbortSignal): Promise<void> {
    const cluster = await this.#whole();
    await cluster.ready(signal);
  }

  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cluster?.close();
  }

  #whole(): Promise<CalledCluster> {
    return (this.#loading ??= this.#begin());
  }

  async #begin(): Promise<CalledCluster> {
    try {
      const { cluster, stats } = await this.#load();
      this.#cluster = cluster;
      this.#stats = stats;
      cluster.onChange(() => {
        for (const fn of [...this.#watchers]) fn();
      });
      if (this.#isClosed) cluster.close();
      return cluster;
    } catch (error) {
      this.#loading = undefined; // What is missing may be there for the next call.
      throw error;
    }
  }
}

/** A call that began before the cluster was loaded. */
class EarlyCall extends LateSource {
  readonly #head: CallHead;
  readonly #load: () => Promise<CalledCluster>;
  #isOver = false;

  constructor(head: CallHead, load: () => Promise<CalledCluster>) {
    super();
    this.#head = head;
    this.#load = load;
  }

  begin(call: AttemptedCall): void {
    this.#load().then(
      (cluster) => {
        if (this.#isOver) return;
        this.source = cluster.sourceOf(this.#head);
        this.source.begin(call);
      },
      (error: unknown) => {
        if (this.#isOver) return;
        const text = "the target cannot be set up";
        call.refuse(new ConnectError(text, Code.Internal, undefined, undefined, error));
      },
    );
  }

  override abandoned(call: AttemptedCall, reason: ConnectError): void {
    this.#isOver = true;
    super.abandoned(call, reason);
  }
}
