import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../../../gen/envoy/config/route/v3/route_pb.ts";
import { ResourceSchema } from "../../../../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { readCluster, type XdsCluster } from "./cluster-resource.ts";
import { readEndpoints, type XdsEndpoints } from "./endpoint-resource.ts";
import { readListener, type XdsListener } from "./listener-resource.ts";
import { readRoutes, type XdsRoutes } from "./route-resource.ts";
import { unpack } from "./unpack.ts";

/** A resource of a response: what it says, or why it cannot be used. */
export type ReadResource<T> =
  | { readonly name: string; readonly value: T }
  /** The name is undefined if not even that can be read. */
  | { readonly name: string | undefined; readonly problem: string };

/** A type of resources. */
export interface ResourceType<T> {
  /** What `type_url` says. */
  readonly url: string;
  /** Short name, for errors. */
  readonly label: string;
  /** Whether a response has all resources there are, so that a missing one is deleted. */
  readonly isWhole: boolean;
  read(any: Any): ReadResource<T>;
}

const prefix = "type.googleapis.com/";

function typeOf<D extends DescMessage, T>(
  schema: D,
  label: string,
  isWhole: boolean,
  nameOf: (message: MessageShape<D>) => string,
  convert: (message: MessageShape<D>) => T,
): ResourceType<T> {
  const url = prefix + schema.typeName;
  return {
    url,
    label,
    isWhole,
    read(any) {
      let name: string | undefined;
      try {
        const wrapper = unpack(any, ResourceSchema);
        if (wrapper !== undefined && wrapper.name !== "") name = wrapper.name;
        const inner = wrapper === undefined ? any : wrapper.resource;
        if (inner?.typeUrl !== url) return { name, problem: `is of the type ${inner?.typeUrl ?? "none"}` };
        const message = fromBinary(schema, inner.value);
        name = nameOf(message);
        return { name, value: convert(message) };
      } catch (error) {
        return { name, problem: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

export const listenerType: ResourceType<XdsListener> = typeOf(
  ListenerSchema,
  "listener",
  true,
  ({ name }) => name,
  readListener,
);

export const routesType: ResourceType<XdsRoutes> = typeOf(
  RouteConfigurationSchema,
  "route configuration",
  false,
  ({ name }) => name,
  readRoutes,
);

export const clusterType: ResourceType<XdsCluster> = typeOf(
  ClusterSchema,
  "cluster",
  true,
  ({ name }) => name,
  readCluster,
);

export const endpointsType: ResourceType<XdsEndpoints> = typeOf(
  ClusterLoadAssignmentSchema,
  "endpoints",
  false,
  ({ clusterName }) => clusterName,
  readEndpoints,
);
