import { Cluster } from "../cluster/cluster.ts";
import type { ClusterOptions } from "../cluster/cluster-options.ts";
import { outlierDefaults } from "../cluster/outlier.ts";
import type { DescMethod } from "@bufbuild/protobuf";
import type { AppliedLayer } from "../policy/plan.ts";
import { Plans, type PlanSources } from "../policy/plans.ts";
import { codeLayer } from "../policy/policy-layer.ts";
import { RoutedCluster } from "../cluster/routed-cluster.ts";
import type { RoutedGroup, RoutedResolver } from "../discovery/routed-resolver.ts";
import type { ChoiceOptions } from "./choice-options.ts";
import { clusterStats, sumOfClusters } from "./dial-stats.ts";
import type { LoadedCluster } from "./lazy-cluster.ts";

/**
 * The cluster of a resolver that routes calls. How endpoints of a group are chosen and ejected, and how its calls are
 * tried again, is what the resolver says, unless the options say it.
 *
 * @param common what the clusters of all groups are made with
 * @param given the options of `dial`
 */
export function routedCluster(
  resolver: RoutedResolver,
  { plans, ...common }: Omit<ClusterOptions, "plans"> & { readonly plans: PlanSources },
  given: Partial<ChoiceOptions>,
): LoadedCluster {
  const make = ({ resolver: endpoints, balance, outlier, retryOf }: RoutedGroup): Cluster =>
    new Cluster({
      plans: new Plans({ ...plans, between: (method) => retryLayer(retryOf, method) }),
      ...common,
      resolver: endpoints,
      balance: given.balance === undefined ? balance : common.balance,
      outlier: given.outlier === undefined ? outlier && { ...outlierDefaults, ...outlier } : common.outlier,
    });
  const { name, connection } = common;
  const cluster = new RoutedCluster({ name, resolver, connection, make });
  return { cluster, stats: () => sumOfClusters(name, cluster.clusters.map(clusterStats)) };
}

function retryLayer(retryOf: RoutedGroup["retryOf"], method: DescMethod): AppliedLayer[] {
  const retry = retryOf(`/${method.parent.typeName}/${method.name}`);
  if (retry === undefined) return [];
  return [{ ...codeLayer({ retry }, "the control plane", "service config"), reach: "rpc" }];
}
