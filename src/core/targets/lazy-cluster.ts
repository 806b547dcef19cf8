import type { Cluster } from "../cluster/cluster.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import type { ReplyFields } from "../http2/reply-status.ts";
import {
  noTerms,
  type AttemptedCall,
  type AttemptTerms,
  type CallHead,
  type KeptRequests,
  type Progress,
  type StreamSource,
  type StreamSources,
} from "../http2/stream-source.ts";

/** A cluster that is loaded when it is needed. */
export class LazyCluster implements StreamSources {
  readonly options: MergedConnectionOptions;
  readonly #load: () => Promise<Cluster>;
  #loading: Promise<Cluster> | undefined;
  #cluster: Cluster | undefined;
  #isClosed = false;
  readonly #watchers = new Set<() => void>();

  constructor(options: MergedConnectionOptions, load: () => Promise<Cluster>) {
    this.options = options;
    this.#load = load;
  }

  /** The cluster; undefined before it is loaded. */
  get loaded(): Cluster | undefined {
    return this.#cluster;
  }

  get state(): Cluster["state"] {
    if (this.#cluster !== undefined) return this.#cluster.state;
    if (this.#isClosed) return "closed";
    return this.#loading === undefined ? "idle" : "connecting";
  }

  sourceOf(head: CallHead): StreamSource {
    return this.#cluster?.sourceOf(head) ?? new EarlyCall(head, () => this.#whole());
  }

  async ready(signal?: AbortSignal): Promise<void> {
    const cluster = await this.#whole();
    return cluster.ready(signal);
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

  #whole(): Promise<Cluster> {
    return (this.#loading ??= this.#load().then((cluster) => {
      this.#cluster = cluster;
      cluster.onChange(() => {
        for (const fn of [...this.#watchers]) fn();
      });
      if (this.#isClosed) cluster.close();
      return cluster;
    }));
  }
}

/** A call that began before the cluster was loaded. */
class EarlyCall implements StreamSource {
  readonly #head: CallHead;
  readonly #load: () => Promise<Cluster>;
  #source: StreamSource | undefined;
  #isOver = false;

  constructor(head: CallHead, load: () => Promise<Cluster>) {
    this.#head = head;
    this.#load = load;
  }

  get terms(): AttemptTerms {
    return this.#source?.terms ?? noTerms;
  }

  get previousAttempts(): number {
    return this.#source?.previousAttempts ?? 0;
  }

  keptRequests(): KeptRequests | undefined {
    return this.#source?.keptRequests?.();
  }

  begin(call: AttemptedCall): void {
    this.#load().then(
      (cluster) => {
        if (this.#isOver) return;
        this.#source = cluster.sourceOf(this.#head);
        this.#source.begin(call);
      },
      (error: unknown) => {
        if (this.#isOver) return;
        const text = "the modules of clusters cannot be loaded";
        call.refuse(new ConnectError(text, Code.Internal, undefined, undefined, error));
      },
    );
  }

  answered(): void {
    this.#source?.answered();
  }

  ended(
    call: AttemptedCall,
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
  ): boolean {
    return this.#source?.ended(call, error, progress, trailers) ?? false;
  }

  abandoned(call: AttemptedCall, reason: ConnectError): void {
    this.#isOver = true;
    this.#source?.abandoned(call, reason);
  }
}
