import type { DescMethod } from "@bufbuild/protobuf";
import type { RetryDenial } from "../resilience/retry.ts";
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

/** Why a call was refused on this side. */
export type Rejection = "no_endpoint" | "breaker" | "concurrency";

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
  /** State of each circuit breaker by what it is of: 0 closed, 1 half-open, 2 open; of several the worst. */
  readonly breakerStates: ReadonlyMap<string, number>;
  /** How the endpoints are found; undefined if they are fixed, and while nothing is in use. */
  readonly discovery: DiscoveryStats | undefined;
}

/** Counts what clusters do. */
export interface ClientBooks {
  /** A cluster is in use. @returns a function for its end */
  open(cluster: CountedCluster): () => void;
  rpc(cluster: string, method: DescMethod): RpcBooks;
  /** A call was refused on this side. */
  rejected(cluster: string, reason: Rejection): void;
  /** A call got no further attempt. */
  denied(cluster: string, reason: RetryDenial): void;
  /** A call has waited for a place among the calls under way. */
  waited(cluster: string, tookMs: number): void;
  /** An endpoint was ejected. */
  ejected(cluster: string, reason: EjectionReason): void;
  /** Its resolver has looked for endpoints. */
  looked(cluster: string, result: LookResult): void;
  /** One of its connections has ended. */
  closed(cluster: string, reason: CloseReason): void;
}
