import { HealthStatus } from "../../../../gen/envoy/config/core/v3/health_check_pb.ts";
import type { ClusterLoadAssignment } from "../../../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type {
  LbEndpoint,
  LocalityLbEndpoints,
} from "../../../../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import { formatAddress } from "../../net/listener.ts";
import type { Endpoint } from "../resolver.ts";
import { BadResource, shareOf } from "./bad-resource.ts";

/** The endpoints of a cluster. */
export interface XdsEndpoints {
  readonly endpoints: readonly Endpoint[];
  /** Shares of calls that are to be dropped, each from 0 to 1, by their categories. */
  readonly drops: readonly { readonly category: string; readonly share: number }[];
}

const mostWeight = 2 ** 32 - 1;

/**
 * The endpoints of a `ClusterLoadAssignment`. An endpoint's weight is its share of that of its locality. Localities
 * without a weight, and endpoints that are not healthy, are left out.
 *
 * @throws BadResource
 */
export function readEndpoints(assignment: ClusterLoadAssignment): XdsEndpoints {
  const localities = new Set<string>();
  const addresses = new Set<string>();
  const weights: number[] = [];
  const endpoints: Endpoint[] = [];
  for (const locality of assignment.endpoints) {
    const weight = locality.loadBalancingWeight ?? 0;
    if (weight === 0) continue;
    const { priority } = locality;
    const name = `${priority} ${textFor(locality)}`;
    if (localities.has(name)) throw new BadResource(`the locality ${name} is there twice`);
    localities.add(name);
    weights[priority] = (weights[priority] ?? 0) + weight;
    if ((weights[priority] ?? 0) > mostWeight) {
      throw new BadResource(
        `the weights of the localities of priority ${priority} are more than ${mostWeight}`,
      );
    }
    endpoints.push(...endpointsIn(locality, weight, addresses));
  }
  for (let priority = 0; priority < weights.length; priority++) {
    if (weights[priority] === undefined)
      throw new BadResource(`there is no locality of priority ${priority}`);
  }
  const overloads = assignment.policy?.dropOverloads ?? [];
  const drops = overloads.map(({ category, dropPercentage }) => ({
    category,
    share: shareOf(dropPercentage, "drop_percentage"),
  }));
  return { endpoints, drops };
}

function endpointsIn(locality: LocalityLbEndpoints, weight: number, addresses: Set<string>): Endpoint[] {
  const zone = locality.locality?.zone ?? "";
  const healthy = locality.lbEndpoints.flatMap((endpoint) => {
    const address = addressOf(endpoint);
    if (addresses.has(address)) throw new BadResource(`the endpoint ${address} is there twice`);
    addresses.add(address);
    const own = endpoint.loadBalancingWeight ?? 1;
    if (own === 0) throw new BadResource(`the endpoint ${address} has the weight 0`);
    const { healthStatus } = endpoint;
    const isHealthy = healthStatus === HealthStatus.UNKNOWN || healthStatus === HealthStatus.HEALTHY;
    return isHealthy ? [{ address, own }] : [];
  });
  const sum = healthy.reduce((total, { own }) => total + own, 0);
  if (sum > mostWeight)
    throw new BadResource(`the weights of the endpoints of a locality are more than ${mostWeight}`);
  return healthy.map(({ address, own }) => ({
    address,
    weight: (weight * own) / sum,
    priority: locality.priority,
    ...(zone === "" ? {} : { zone }),
  }));
}

function addressOf({ hostIdentifier }: LbEndpoint): string {
  const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
  if (address?.case !== "socketAddress" || address.value.address === "") {
    throw new BadResource("an endpoint has no socket_address");
  }
  const { address: host, portSpecifier } = address.value;
  const port = portSpecifier.case === "portValue" ? portSpecifier.value : 0;
  if (port < 1 || port > 65_535)
    throw new BadResource(`the endpoint ${host} has no port_value from 1 to 65535`);
  return formatAddress({ host, port });
}

function textFor({ locality }: LocalityLbEndpoints): string {
  return `${locality?.region ?? ""}/${locality?.zone ?? ""}/${locality?.subZone ?? ""}`;
}
