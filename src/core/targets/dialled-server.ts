import type { DescMethod } from "@bufbuild/protobuf";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import type { Connection, ConnectionState } from "../http2/http2-connection.ts";
import type { CallHead, StreamSource, StreamSources } from "../http2/stream-source.ts";
import { contractStatesPolicy } from "./contract-states-policy.ts";
import type { LazyCluster } from "./lazy-cluster.ts";

/**
 * One server that was dialled by its address: a connection, which is replaced by a cluster of this one server as soon
 * as a service is called whose contract says how.
 */
export class DialledServer implements StreamSources {
  readonly connection: Connection;
  readonly #toCluster: () => LazyCluster;
  readonly #watchers = new Set<() => void>();
  #cluster: LazyCluster | undefined;
  #isClosed = false;

  constructor(connection: Connection, toCluster: () => LazyCluster) {
    this.connection = connection;
    this.#toCluster = toCluster;
    connection.onChange(() => {
      if (this.#cluster === undefined) this.#notify();
    });
  }

  get options(): MergedConnectionOptions {
    return this.connection.options;
  }

  /** Undefined as long as no policy is needed. */
  get cluster(): LazyCluster | undefined {
    return this.#cluster;
  }

  get state(): ConnectionState {
    return this.#cluster?.state ?? this.connection.state;
  }

  know({ parent }: DescMethod): void {
    if (this.#cluster !== undefined || this.#isClosed || !contractStatesPolicy(parent)) return;
    const cluster = (this.#cluster = this.#toCluster());
    cluster.onChange(() => this.#notify());
    this.connection.close(); // Calls in flight are completed.
  }

  sourceOf(head: CallHead): StreamSource {
    return this.#cluster === undefined ? this.connection : this.#cluster.sourceOf(head);
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#cluster === undefined ? this.connection.ready(signal) : this.#cluster.ready(signal);
  }

  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  close(): void {
    this.#isClosed = true;
    this.connection.close();
    this.#cluster?.close();
  }

  #notify(): void {
    for (const fn of [...this.#watchers]) fn();
  }
}
