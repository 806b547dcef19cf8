import type { Any } from "@bufbuild/protobuf/wkt";
import type { RouteConfiguration } from "../../../../gen/envoy/config/route/v3/route_pb.ts";
import {
  FilterConfigSchema,
  type RetryPolicy,
  type Route,
  type RouteAction,
  type RouteMatch,
  type VirtualHost,
} from "../../../../gen/envoy/config/route/v3/route_components_pb.ts";
import { HTTPFaultSchema } from "../../../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { Code } from "../../errors/errors.ts";
import { BadResource, durationMs, shareOf } from "./bad-resource.ts";
import { readFault, type XdsFault } from "./fault-filter.ts";
import { compileHeaderMatcher, compileRegex, type HeaderTest } from "./header-matcher.ts";
import { unpack } from "./unpack.ts";

/** The routes of a listener. */
export interface XdsRoutes {
  readonly hosts: readonly XdsHost[];
}

/** The routes of some names. */
export interface XdsHost {
  readonly domains: readonly string[];
  readonly routes: readonly XdsRoute[];
}

/** A route: which calls it is for, and where they go. */
export interface XdsRoute {
  /** Whether the path of a call matches, such as `/library.v1.LibraryService/GetShelf`. */
  readonly path: (path: string) => boolean;
  /** The same for routes that match the same paths. */
  readonly pathText: string;
  /** Whether calls of all paths match. */
  readonly isCatchAll: boolean;
  readonly headers: readonly HeaderTest[];
  /** Share of the calls for which it is, 0 to 1. */
  readonly share: number;
  /** Undefined where calls fail, since the action is none of a client. */
  readonly action: XdsAction | undefined;
}

/** Where the calls of a route go. */
export interface XdsAction {
  readonly clusters: readonly XdsWeightedCluster[];
  /** The longest time of a call, in milliseconds: 0 for no limit, undefined for that of the listener. */
  readonly maxStreamMs: number | undefined;
  readonly retry: XdsRetry | undefined;
  /** Headers by which calls are hashed, in their order; the first that is there ends it if it is terminal. */
  readonly hash: readonly { readonly header: string; readonly isTerminal: boolean }[];
}

/** A cluster and its share of the calls of a route. */
export interface XdsWeightedCluster {
  readonly cluster: string;
  readonly weight: number;
  /** Faults in place of those of the listener, by the names of filters. */
  readonly faults: ReadonlyMap<string, XdsFault>;
}

/** When and how calls are tried again (gRFC A44). */
export interface XdsRetry {
  readonly codes: readonly Code[];
  /** With the first one. */
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
}

const retryCodes: Readonly<Record<string, Code>> = {
  cancelled: Code.Canceled,
  "deadline-exceeded": Code.DeadlineExceeded,
  internal: Code.Internal,
  "resource-exhausted": Code.ResourceExhausted,
  unavailable: Code.Unavailable,
};

/** Number of the field `cluster_header` of an action: a route with it is passed over. */
const clusterHeaderField = 2;

/** @throws BadResource */
export function readRoutes(configuration: RouteConfiguration): XdsRoutes {
  const domains = new Set<string>();
  return {
    hosts: configuration.virtualHosts.map((host) => {
      for (const domain of host.domains) {
        if (domains.has(domain)) throw new BadResource(`the domain ${domain} is in two virtual hosts`);
        if (!/^\*?[^*]*$|^[^*]+\*$/.test(domain) || domain === "") {
          throw new BadResource(`"${domain}" is no domain`);
        }
        domains.add(domain);
      }
      const faults = readFaults(host.typedPerFilterConfig);
      return {
        domains: host.domains,
        routes: host.routes.flatMap((route) => readRoute(route, host, faults)),
      };
    }),
  };
}

function readRoute(route: Route, host: VirtualHost, hostFaults: ReadonlyMap<string, XdsFault>): XdsRoute[] {
  const { match, action } = route;
  if (match === undefined) throw new BadResource(`a route of ${host.name} has no match`);
  // A call of gRPC has no query.
  if (match.queryParameters.length > 0) return [];
  const path = compilePath(match);
  const headers = match.headers.map(compileHeaderMatcher);
  const share =
    match.runtimeFraction === undefined ? 1 : shareOf(match.runtimeFraction.defaultValue, "runtime_fraction");
  const faults = new Map([...hostFaults, ...readFaults(route.typedPerFilterConfig)]);
  const read = action.case === "route" ? readAction(action.value, host, faults) : undefined;
  if (read === "passed over") return [];
  const { pathSpecifier } = match;
  const isPrefixOfAll =
    pathSpecifier.case === "prefix" && (pathSpecifier.value === "" || pathSpecifier.value === "/");
  const isCatchAll = isPrefixOfAll && headers.length === 0 && share === 1;
  const pathText = JSON.stringify([pathSpecifier, match.caseSensitive]);
  return [{ path, pathText, isCatchAll, headers, share, action: read }];
}

function compilePath({ pathSpecifier, caseSensitive = true }: RouteMatch): (path: string) => boolean {
  const fold = (text: string): string => (caseSensitive ? text : text.toLowerCase());
  switch (pathSpecifier.case) {
    case "prefix": {
      const prefix = fold(pathSpecifier.value);
      return (path) => fold(path).startsWith(prefix);
    }
    case "path": {
      const whole = fold(pathSpecifier.value);
      return (path) => fold(path) === whole;
    }
    case "safeRegex":
      return compileRegex(pathSpecifier.value);
    default:
      throw new BadResource("the kind of a path matcher is not supported");
  }
}

function readAction(
  action: RouteAction,
  host: VirtualHost,
  faults: ReadonlyMap<string, XdsFault>,
): XdsAction | "passed over" {
  const { clusterSpecifier: specifier, maxStreamDuration: limit } = action;
  if (specifier.case === undefined) {
    if (action.$unknown?.some(({ no }) => no === clusterHeaderField) === true) return "passed over";
    throw new BadResource(`a route of ${host.name} has neither cluster nor weighted_clusters`);
  }
  const clusters =
    specifier.case === "cluster"
      ? [{ cluster: specifier.value, weight: 1, faults }]
      : specifier.value.clusters.map(({ name, weight = 0, typedPerFilterConfig }) => ({
          cluster: name,
          weight,
          faults: new Map([...faults, ...readFaults(typedPerFilterConfig)]),
        }));
  if (clusters.some(({ cluster }) => cluster === ""))
    throw new BadResource("a cluster of a route has no name");
  const sum = clusters.reduce((total, { weight }) => total + weight, 0);
  if (sum < 1 || sum >= 2 ** 32)
    throw new BadResource("the weights of weighted_clusters sum up to 0, or to too much");
  const policy = action.retryPolicy ?? host.retryPolicy;
  return {
    clusters: clusters.filter(({ weight }) => weight > 0),
    maxStreamMs:
      durationMs(limit?.grpcTimeoutHeaderMax, "grpc_timeout_header_max") ??
      durationMs(limit?.maxStreamDuration, "max_stream_duration"),
    retry: policy === undefined ? undefined : readRetry(policy),
    hash: action.hashPolicy.flatMap(({ policySpecifier, terminal }) =>
      policySpecifier.case === "header"
        ? [{ header: policySpecifier.value.headerName.toLowerCase(), isTerminal: terminal }]
        : [],
    ),
  };
}

function readRetry({ retryOn, numRetries = 1, retryBackOff }: RetryPolicy): XdsRetry | undefined {
  if (numRetries < 1) throw new BadResource("retry_policy.num_retries must be 1 or more");
  const initialMs = durationMs(retryBackOff?.baseInterval, "retry_back_off.base_interval");
  if (retryBackOff !== undefined && (initialMs === undefined || initialMs === 0)) {
    throw new BadResource("retry_back_off.base_interval must be above 0");
  }
  const initialBackoffMs = initialMs ?? 25;
  const maxMs = durationMs(retryBackOff?.maxInterval, "retry_back_off.max_interval");
  if (maxMs === 0) throw new BadResource("retry_back_off.max_interval must be above 0");
  const codes = retryOn.split(",").flatMap((name) => retryCodes[name.trim()] ?? []);
  if (codes.length === 0) return undefined;
  return {
    codes,
    maxAttempts: numRetries + 1,
    initialBackoffMs,
    maxBackoffMs: Math.max(initialBackoffMs, maxMs ?? 10 * initialBackoffMs),
  };
}

function readFaults(configs: Readonly<Record<string, Any>>): Map<string, XdsFault> {
  const faults = new Map<string, XdsFault>();
  for (const [name, given] of Object.entries(configs)) {
    const wrapper = unpack(given, FilterConfigSchema);
    const config = wrapper === undefined ? given : wrapper.config;
    const fault = config === undefined ? undefined : unpack(config, HTTPFaultSchema);
    if (fault !== undefined) faults.set(name, readFault(fault));
    else if (wrapper?.isOptional !== true) {
      throw new BadResource(`the filter ${name} is not supported: ${config?.typeUrl ?? "no config"}`);
    }
  }
  return faults;
}

/**
 * The routes for a name: those of the host whose domain is the name, else the longest that ends or begins like it, else
 * `*`. Case does not count.
 */
export function hostFor({ hosts }: XdsRoutes, name: string): XdsHost | undefined {
  const lower = name.toLowerCase();
  let best: XdsHost | undefined;
  let bestRank = 0;
  for (const host of hosts) {
    for (const domain of host.domains) {
      const rank = rankOf(domain.toLowerCase(), lower);
      if (rank > bestRank) [best, bestRank] = [host, rank];
    }
  }
  return best;
}

/** Kinds of domains come before their lengths. */
const kindRank = 2 ** 20;

function rankOf(domain: string, name: string): number {
  if (domain === name) return 4 * kindRank;
  if (domain === "*") return 1;
  if (domain.startsWith("*") && name.endsWith(domain.slice(1)) && name.length >= domain.length) {
    return 3 * kindRank + domain.length;
  }
  if (domain.endsWith("*") && name.startsWith(domain.slice(0, -1)) && name.length >= domain.length) {
    return 2 * kindRank + domain.length;
  }
  return 0;
}
