import type { KnownEndpoint } from "../discovery/endpoint-list.ts";
import type { ConnectionPool, EndpointState } from "./connection-pool.ts";
import type { EndpointLoad } from "./endpoint-load.ts";
import type { Candidate } from "./picker.ts";

/** One endpoint of a cluster: what is known of it, its connections and its figures. */
export class ClusterEndpoint implements Candidate {
  /** As the resolver found it last. */
  known: KnownEndpoint;
  readonly pool: ConnectionPool;
  readonly load: EndpointLoad;
  /** Its state as the cluster has counted it. */
  state: EndpointState = "idle";
  /** Whether it waits for its turn to be connected. */
  isQueued = false;
  /** Whether it is no endpoint of the cluster any more. */
  isGone = false;

  constructor(known: KnownEndpoint, pool: ConnectionPool, load: EndpointLoad) {
    this.known = known;
    this.pool = pool;
    this.load = load;
  }

  get weight(): number {
    return this.known.weight;
  }
}
