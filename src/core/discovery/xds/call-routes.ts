import { Code, ConnectError } from "../../errors/errors.ts";
import type {
  CallRoute,
  RoutedBalance,
  RoutedCallHead,
  RoutedGroup,
  RoutedOutlier,
  RoutedTarget,
  RouteFault,
} from "../routed-resolver.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import type { XdsCluster, XdsOutlier } from "./cluster-resource.ts";
import type { XdsFault } from "./fault-filter.ts";
import type { XdsAction, XdsRoute, XdsWeightedCluster } from "./route-resource.ts";
import type { XdsSnapshot } from "./xds-view.ts";

/** What a weighted cluster of a route is compiled to. */
interface Side {
  readonly route: CallRoute;
  /** The first place on the scale of weights that is not of this side or those before it. */
  readonly end: number;
}

/** A route of a target. */
interface Compiled {
  readonly route: XdsRoute;
  readonly sides: readonly Side[];
}

/** As gRPC has it. */
const mostAttempts = 5;

/** Codes of gRPC for statuses of HTTP (grpc/grpc doc/http-grpc-status-mapping.md); others are UNKNOWN. */
const httpCodes: Readonly<Record<number, Code>> = {
  400: Code.Internal,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  429: Code.Unavailable,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.Unavailable,
};

/** Makes targets of snapshots; clusters keep their feeds from one to the next. */
export class CallRoutes {
  readonly #refresh: () => void;
  #feeds = new Map<string, ClusterFeed>();

  /** @param refresh asks the control plane again */
  constructor(refresh: () => void) {
    this.#refresh = refresh;
  }

  target({ listener, host, clusters }: XdsSnapshot): RoutedTarget {
    const before = this.#feeds;
    this.#feeds = new Map();
    const groups = new Map<string, RoutedGroup>();
    const drops = new Map<string, readonly number[]>();
    const problems = new Map<string, string>();
    for (const [name, viewed] of clusters) {
      if (viewed.kind === "missing") {
        problems.set(name, viewed.problem);
        continue;
      }
      const { cluster, endpoints } = viewed;
      const feed = before.get(name) ?? new ClusterFeed(endpoints.endpoints, this.#refresh);
      this.#feeds.set(name, feed);
      feed.update(endpoints.endpoints);
      const header = host.routes.flatMap(({ action }) => hashHeader(action, name))[0];
      groups.set(name, { ...groupOf(cluster, feed, header), ...retriesOf(host.routes, name) });
      drops.set(
        name,
        endpoints.drops.map(({ share }) => share),
      );
    }
    const compiled = host.routes.map((route): Compiled => ({
      route,
      sides: route.action === undefined ? [] : sidesOf(route.action, listener),
    }));
    return {
      groups,
      route: (call, random) => {
        const found = compiled.find(({ route }) => matches(route, call, random));
        const side = found && sideOf(found.sides, random);
        if (side === undefined) return unavailable("no route is for this call");
        const { group } = side.route;
        const problem = problems.get(group);
        if (problem !== undefined) return unavailable(`xds: ${problem}`);
        if (drops.get(group)?.some((share) => random() < share) === true) {
          return unavailable("dropped, as the control plane says");
        }
        return side.route;
      },
    };
  }
}

function unavailable(text: string): ConnectError {
  return new ConnectError(text, Code.Unavailable);
}

function matches(route: XdsRoute, { path, headers }: RoutedCallHead, random: () => number): boolean {
  if (!route.path(path)) return false;
  if (route.headers.length > 0 && !route.headers.every((test) => test(headers()))) return false;
  return route.share >= 1 || random() < route.share;
}

function sideOf(sides: readonly Side[], random: () => number): Side | undefined {
  const [first] = sides;
  if (sides.length < 2) return first;
  const place = random() * (sides.at(-1)?.end ?? 0);
  return sides.find(({ end }) => place < end);
}

function sidesOf(action: XdsAction, listener: XdsSnapshot["listener"]): Side[] {
  const { clusters, maxStreamMs = listener.maxStreamMs } = action;
  let end = 0;
  return clusters.map((weighted) => {
    end += weighted.weight;
    const timeoutMs = maxStreamMs === 0 ? undefined : maxStreamMs;
    return {
      end,
      route: { group: weighted.cluster, timeoutMs, faults: faultsOf(weighted, listener.faults) },
    };
  });
}

/** Those of the listener, each in the form that is nearest to the call. */
function faultsOf({ faults }: XdsWeightedCluster, all: ReadonlyMap<string, XdsFault>): RouteFault[] {
  return [...all].flatMap(([name, fault]): RouteFault[] => {
    const { delay, abort, maxActive } = faults.get(name) ?? fault;
    // Values that callers choose by their headers are not taken from them.
    const ms = delay?.ms;
    const code = abort === undefined ? undefined : codeOf(abort);
    if (ms === undefined && code === undefined) return [];
    const error = new ConnectError("a fault was injected", code ?? Code.Unavailable);
    return [
      {
        delay: delay === undefined || ms === undefined ? undefined : { ms, share: delay.share },
        abort: abort === undefined || code === undefined ? undefined : { error, share: abort.share },
        maxActive,
        active: 0,
      },
    ];
  });
}

/** Undefined for OK, and for what a header says. */
function codeOf({ grpc, http }: NonNullable<XdsFault["abort"]>): Code | undefined {
  if (grpc !== undefined) return grpc === 0 ? undefined : grpc; // Codes of gRPC are those of Connect.
  if (http === undefined || http === 200) return undefined;
  return httpCodes[http] ?? Code.Unknown;
}

function groupOf(
  { balance, maxRequests, outlier }: XdsCluster,
  resolver: ClusterFeed,
  header?: string,
): Omit<RoutedGroup, "retryOf" | "retryKey"> {
  return {
    resolver,
    balance: balanceOf(balance, header),
    maxRequests,
    outlier: outlier && outlierOf(outlier),
  };
}

function balanceOf(balance: XdsCluster["balance"], header: string | undefined): RoutedBalance {
  if (balance.policy !== "ring_hash") return balance;
  return header === undefined ? { policy: "hash" } : { policy: "hash", header };
}

/** How calls that come to a cluster by their paths are tried again. Routes by headers or for a share say nothing here. */
function retriesOf(routes: readonly XdsRoute[], name: string): Pick<RoutedGroup, "retryOf" | "retryKey"> {
  const plain = routes.filter(
    ({ headers, share, action }) =>
      headers.length === 0 && share >= 1 && action?.clusters.some(({ cluster }) => cluster === name) === true,
  );
  const texts = plain.map(({ pathText, action }) => [pathText, action?.retry]);
  return {
    retryOf: (path) => {
      const retry = plain.find((route) => route.path(path))?.action?.retry;
      return retry && { ...retry, maxAttempts: Math.min(retry.maxAttempts, mostAttempts) };
    },
    retryKey: plain.some(({ action }) => action?.retry !== undefined) ? JSON.stringify(texts) : "",
  };
}

/** The first header by which a route hashes its calls to a cluster. */
function hashHeader(action: XdsAction | undefined, name: string): string[] {
  const [first] = action?.hash ?? [];
  return first !== undefined && action?.clusters.some(({ cluster }) => cluster === name) === true
    ? [first.header]
    : [];
}

/** Undefined where the control plane has no ejection by the share of failures. */
function outlierOf(outlier: XdsOutlier): RoutedOutlier | undefined {
  const { failureRatio, minCalls, intervalMs, baseMs, maxMs, maxEjectionPercent } = outlier;
  if (failureRatio === undefined) return undefined;
  // gRPC has no ejection by failures in a row.
  const ejects = { consecutiveFailures: Number.POSITIVE_INFINITY, failureRatio };
  const calls = minCalls === undefined ? {} : { minCalls };
  return { ...ejects, ...calls, intervalMs, baseMs, maxMs, maxEjectionPercent };
}
