import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_RingHashLbConfig_HashFunction,
  type Cluster,
} from "../../../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { OutlierDetection } from "../../../../gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import { RoutingPriority } from "../../../../gen/envoy/config/core/v3/base_pb.ts";
import { BadResource, durationMs } from "./bad-resource.ts";
import { isFromAds } from "./config-source.ts";

/** How endpoints of a cluster are chosen. */
export type XdsBalance =
  | { readonly policy: "round_robin" }
  | { readonly policy: "least_request"; readonly choices: number }
  | { readonly policy: "ring_hash"; readonly minSize: number; readonly maxSize: number };

/** When endpoints of a cluster are ejected; undefined where that is off or not said. */
export interface XdsOutlier {
  readonly intervalMs: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxEjectionPercent: number;
  /** Ejection of endpoints whose share of failures is this or more, 0 to 1. */
  readonly failureRatio: number | undefined;
  readonly minCalls: number | undefined;
}

/** A cluster whose endpoints come by EDS. */
export interface XdsCluster {
  /** Name of its `ClusterLoadAssignment`. */
  readonly edsName: string;
  readonly balance: XdsBalance;
  /** Most calls under way. */
  readonly maxRequests: number;
  readonly outlier: XdsOutlier | undefined;
}

/** The default of `max_requests`. */
const defaultMaxRequests = 1_024;
const mostRingSize = 8_388_608;

/** @throws BadResource */
export function readCluster(cluster: Cluster): XdsCluster {
  const { clusterDiscoveryType: kind, edsClusterConfig: eds } = cluster;
  if (kind.case !== "type" || kind.value !== Cluster_DiscoveryType.EDS) {
    throw new BadResource("only clusters of the type EDS are supported");
  }
  if (!isFromAds(eds?.edsConfig)) throw new BadResource("eds_cluster_config.eds_config must be ads or self");
  const thresholds = cluster.circuitBreakers?.thresholds.find(
    ({ priority }) => priority === RoutingPriority.DEFAULT,
  );
  return {
    edsName: eds?.serviceName === undefined || eds.serviceName === "" ? cluster.name : eds.serviceName,
    balance: balanceOf(cluster),
    maxRequests: thresholds?.maxRequests ?? defaultMaxRequests,
    outlier: cluster.outlierDetection === undefined ? undefined : outlierOf(cluster.outlierDetection),
  };
}

function balanceOf({ lbPolicy, lbConfig }: Cluster): XdsBalance {
  switch (lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN:
      return { policy: "round_robin" };
    case Cluster_LbPolicy.LEAST_REQUEST: {
      const choices = lbConfig.case === "leastRequestLbConfig" ? (lbConfig.value.choiceCount ?? 2) : 2;
      if (choices < 2) throw new BadResource("least_request_lb_config.choice_count must be 2 or more");
      return { policy: "least_request", choices: Math.min(choices, 10) };
    }
    case Cluster_LbPolicy.RING_HASH: {
      const config = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
      if ((config?.hashFunction ?? 0) !== Cluster_RingHashLbConfig_HashFunction.XX_HASH) {
        throw new BadResource("ring_hash_lb_config.hash_function must be XX_HASH");
      }
      const minSize = Number(config?.minimumRingSize ?? 1_024);
      const maxSize = Number(config?.maximumRingSize ?? mostRingSize);
      if (minSize > maxSize || maxSize > mostRingSize) {
        throw new BadResource(`the sizes of ring_hash_lb_config must be at most ${mostRingSize}, in order`);
      }
      return { policy: "ring_hash", minSize, maxSize };
    }
    default:
      throw new BadResource(`lb_policy ${lbPolicy} is not supported`);
  }
}

/** By the share of failures alone, which also stands in for ejection by the deviation of successes. */
function outlierOf(detection: OutlierDetection): XdsOutlier {
  const percent = (value: number | undefined, field: string, otherwise: number): number => {
    if (value !== undefined && value > 100) throw new BadResource(`outlier_detection.${field} is above 100`);
    return value ?? otherwise;
  };
  const ms = (field: "interval" | "baseEjectionTime" | "maxEjectionTime", otherwise: number): number =>
    durationMs(detection[field], `outlier_detection.${field}`) ?? otherwise;
  const byDeviation = percent(detection.enforcingSuccessRate, "enforcing_success_rate", 100);
  const enforced = percent(detection.enforcingFailurePercentage, "enforcing_failure_percentage", 0);
  const threshold = percent(detection.failurePercentageThreshold, "failure_percentage_threshold", 85);
  const baseMs = ms("baseEjectionTime", 30_000);
  return {
    intervalMs: ms("interval", 10_000),
    baseMs,
    maxMs: Math.max(baseMs, ms("maxEjectionTime", 300_000)),
    maxEjectionPercent: percent(detection.maxEjectionPercent, "max_ejection_percent", 10),
    failureRatio: enforced > 0 || byDeviation > 0 ? threshold / 100 : undefined,
    minCalls: enforced > 0 ? detection.failurePercentageRequestVolume : detection.successRateRequestVolume,
  };
}
