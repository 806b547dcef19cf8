import type { Endpoint } from "../resolver.ts";
import type { XdsAction } from "./route-resource.ts";
import type { ViewedCluster, XdsSnapshot } from "./xds-view.ts";

/** The endpoints of the clusters of one route, or why there are none. */
export type RouteEndpoints = { readonly endpoints: readonly Endpoint[] } | { readonly problem: string };

/**
 * The endpoints of the route of a target that is for all calls, else of its last one. Those of several clusters have
 * weights by which the clusters get their shares.
 */
export function routeEndpoints({ host, clusters }: XdsSnapshot): RouteEndpoints {
  const routes = host.routes.filter(({ action }) => action !== undefined);
  const action = (routes.find(({ isCatchAll }) => isCatchAll) ?? routes.at(-1))?.action;
  if (action === undefined) return { problem: "no route has a cluster" };
  const there = action.clusters.flatMap(({ cluster, weight }) => {
    const viewed = clusters.get(cluster);
    return viewed?.kind === "there" ? [{ endpoints: viewed.endpoints.endpoints, weight }] : [];
  });
  const [first, ...others] = there;
  if (first === undefined) return { problem: problemOf(action, clusters) };
  if (others.length === 0) return { endpoints: first.endpoints };
  const merged = new Map<string, Endpoint>();
  for (const { endpoints, weight } of there) {
    for (const endpoint of shares(endpoints, weight)) {
      const twin = merged.get(endpoint.address);
      // An endpoint of two clusters has the shares of both.
      if (twin === undefined) merged.set(endpoint.address, endpoint);
      else merged.set(endpoint.address, { ...endpoint, weight: (twin.weight ?? 1) + (endpoint.weight ?? 1) });
    }
  }
  return { endpoints: [...merged.values()] };
}

/** The endpoints with weights whose sum in each priority is that of the cluster. */
function shares(endpoints: readonly Endpoint[], weight: number): Endpoint[] {
  const sums = new Map<number, number>();
  for (const { priority = 0, weight: own = 1 } of endpoints)
    sums.set(priority, (sums.get(priority) ?? 0) + own);
  return endpoints.map((endpoint) => {
    const { priority = 0, weight: own = 1 } = endpoint;
    return { ...endpoint, weight: (own / (sums.get(priority) ?? 1)) * weight };
  });
}

function problemOf({ clusters: named }: XdsAction, clusters: ReadonlyMap<string, ViewedCluster>): string {
  for (const { cluster } of named) {
    const viewed = clusters.get(cluster);
    if (viewed?.kind === "missing") return viewed.problem;
  }
  return "no route has a cluster";
}
