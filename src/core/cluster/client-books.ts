import type { DescMethod } from "@bufbuild/protobuf";
import type { DiscoveryStats, LookResult } from "../discovery/endpoint-watch.ts";
import type { CloseReason } from "./connection-pool.ts";
import type { EndpointState } from "./endpoint.ts";
import type { EjectionReason } from "./outlier.ts";

/** Why an attempt was made. */
export type AttemptKind =
  | "first"
  /** Because the server had not processed the one before, which does not count as a retry. */
  | "transparent"
  | "retry"
  | "hedge";

/** Counts the calls of one rpc to a cluster. */
export interface RpcBooks {
  attempt(kind: AttemptKind): void;
  /** @param code of the call's end; 0 for OK */
  finished(code: number, tookMs: number): void;
}

/** What the metrics page asks a cluster. */
export interface CountedCluster {
  readonly name: string;
  readonly inFlight: number;
  readonly connections: number;
  /** How many endpoints there are of each state. */
  readonly endpoints: ReadonlyMap<EndpointState, number>;
  /** How the endpoints are found; undefined if they are fixed, and while nothing is in use. */
  readonly discovery: DiscoveryStats | undefined;
}

/** Counts what clusters do. */
export interface ClientBooks {
  /** A cluster is in use. @returns a function for its end */
  open(cluster: CountedCluster): () => void;
  rpc(cluster: string, method: DescMethod): RpcBooks;
  /** A call was refused on this side. */
  rejected(cluster: string, reason: "no_endpoint"): void;
  /** An endpoint was ejected. */
  ejected(cluster: string, reason: EjectionReason): void;
  /** Its resolver has looked for endpoints. */
  looked(cluster: string, result: LookResult): void;
  /** One of its connections has ended. */
  closed(cluster: string, reason: CloseReason): void;
}
