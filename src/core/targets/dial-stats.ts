import type { AttemptKind } from "../cluster/client-books.ts";
import type { ClusterEndpoint, EndpointState } from "../cluster/endpoint.ts";
import type { EndpointHealth } from "../cluster/health.ts";
import type { BreakerStats } from "../resilience/breaker.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { DiscoveryStats } from "../discovery/endpoint-watch.ts";
import type { ConnectionState, Http2Stats } from "../http2/http2-connection.ts";

/** Figures of a transport that `dial` has made. */
export interface DialStats {
  /** The servers that it calls; none for a server that is called in process, or before a list or resolver is in use. */
  readonly endpoints: readonly EndpointStats[];
  /** Figures of all endpoints together; undefined for one server that was dialled by its address. */
  readonly cluster?: ClusterStats;
}

/** Figures of a target with endpoints. */
export interface ClusterStats {
  readonly name: string;
  /** Calls that have begun. */
  readonly calls: number;
  /** Attempts that have begun, by their kind. */
  readonly attempts: Readonly<Record<AttemptKind, number>>;
  /** Further attempts that all calls together may make now. */
  readonly retryBudget: number;
  /** The circuit breakers of policies, each with what it is of: an rpc, `target` or `endpoint`. */
  readonly breakers: readonly (BreakerStats & { readonly of: string })[];
  /** Attempts in progress. */
  readonly inFlight: number;
  /** Calls that wait for an endpoint, or for a stream. */
  readonly queued: number;
  /** Connections that are ready. */
  readonly connections: number;
  /** How the endpoints are found; undefined for a list, and while nothing is in use. */
  readonly discovery: DiscoveryStats | undefined;
}

/** Figures of one server. */
export interface EndpointStats {
  /** The server as it was dialled or found; empty for a `GrpcServer` that does not listen yet. */
  readonly address: string;
  readonly state: ConnectionState;
  /** Its connection; with several of them their sums, and the slowest round trip. */
  readonly http2: Http2Stats;
  /** How calls are spread; undefined for one server that was dialled by its address. */
  readonly load?: EndpointLoadStats;
}

/** What balancing knows of an endpoint. */
export interface EndpointLoadStats {
  /** Its share of the calls, relative to the others'; of an endpoint that is new less than it was found with. */
  readonly weight: number;
  readonly zone: string | undefined;
  /** What its active checks say; `unknown` without them. */
  readonly health: EndpointHealth;
  /** Time until the end of its ejection, in milliseconds; 0 without one. */
  readonly ejectedForMs: number;
  /** Attempts in progress. */
  readonly inFlight: number;
  /** Mean duration of successful attempts, of streams until the first headers, in milliseconds; undefined before the first. */
  readonly lagMs: number | undefined;
  /** Share of the attempts that did not fail, 0 to 1, the later ones with more weight. */
  readonly success: number;
  /** Connections that are ready. */
  readonly connections: number;
  /** Attempts so far. */
  readonly attempts: number;
  /** Those that failed and speak against the endpoint. */
  readonly failures: number;
}

/** The figures of a cluster. */
export function clusterStats(cluster: Cluster): DialStats {
  const { name, calls, attempts, inFlight, queued, connections, discovery, members, policies } = cluster;
  return {
    endpoints: members.map((member) => endpointStats(member, cluster.nowMs())),
    cluster: {
      name,
      calls,
      attempts: { ...attempts },
      retryBudget: policies.budgetLeft,
      breakers: policies.breakers.map(([of, breaker]) => ({ ...breaker, of })),
      inFlight,
      queued,
      connections,
      discovery,
    },
  };
}

/** The figures of the clusters of one target. */
export function sumOfClusters(name: string, all: readonly DialStats[]): DialStats {
  const clusters = all.flatMap(({ cluster }) => cluster ?? []);
  const sum = (figure: "calls" | "retryBudget" | "inFlight" | "queued" | "connections"): number =>
    clusters.reduce((total, stats) => total + stats[figure], 0);
  return {
    endpoints: all.flatMap(({ endpoints }) => endpoints),
    cluster: {
      name,
      calls: sum("calls"),
      attempts: sumOfAttempts(clusters),
      retryBudget: sum("retryBudget"),
      breakers: clusters.flatMap(({ breakers }) => breakers),
      inFlight: sum("inFlight"),
      queued: sum("queued"),
      connections: sum("connections"),
      discovery: clusters[0]?.discovery,
    },
  };
}

function sumOfAttempts(all: readonly ClusterStats[]): ClusterStats["attempts"] {
  const kind = (name: AttemptKind): number => all.reduce((total, { attempts }) => total + attempts[name], 0);
  return {
    first: kind("first"),
    transparent: kind("transparent"),
    retry: kind("retry"),
    hedge: kind("hedge"),
  };
}

function endpointStats(endpoint: ClusterEndpoint, nowMs: number): EndpointStats {
  const { known, state, load, pool, weight, health } = endpoint;
  const { inFlight, lagMs, success, attempts, failures } = load;
  const { zone, address } = known;
  const ejectedForMs = endpoint.ejectedForMs(nowMs);
  const connections = pool.connections.filter(({ connection }) => connection.state === "ready").length;
  return {
    address,
    state: stateOf(state),
    http2: sumOf(pool.connections.map(({ connection }) => connection.stats)),
    load: { weight, zone, health, ejectedForMs, inFlight, lagMs, success, connections, attempts, failures },
  };
}

/** The state of an endpoint in the words of connections: `load` says why one that is connected gets no calls. */
function stateOf(state: EndpointState): ConnectionState {
  if (state === "failing") return "transient-failure";
  return state === "not_serving" || state === "ejected" ? "ready" : state;
}

function sumOf(all: readonly Http2Stats[]): Http2Stats {
  const sum = (figure: (stats: Http2Stats) => number): number =>
    all.reduce((total, stats) => total + figure(stats), 0);
  const roundTrips = all.flatMap(({ rttMs }) => rttMs ?? []);
  return {
    streams: sum(({ streams }) => streams),
    limit: sum(({ limit }) => limit),
    rttMs: roundTrips.length === 0 ? undefined : Math.max(...roundTrips),
    sentBytes: sum(({ sentBytes }) => sentBytes),
    receivedBytes: sum(({ receivedBytes }) => receivedBytes),
    queued: sum(({ queued }) => queued),
    goaways: sum(({ goaways }) => goaways),
  };
}
