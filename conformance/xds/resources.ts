/** Resources of a control plane, in protobuf's JSON mapping. */
export interface Resources {
  readonly listeners: readonly object[];
  readonly routes: readonly object[];
  readonly clusters: readonly object[];
  readonly endpoints: readonly object[];
}

/** The endpoints of a zone, by their ports on this machine. */
export interface Place {
  readonly zone?: string;
  readonly ports: readonly number[];
  readonly weight?: number;
  readonly priority?: number;
}

const types = "type.googleapis.com/envoy.extensions.filters";
const router = { name: "router", typed_config: { "@type": `${types}.http.router.v3.Router` } };

/** What makes Envoy speak HTTP/2 to a cluster; clients of gRPC do so anyway. */
export const http2Upstream = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

/** The manager of connections of a listener whose routes come by RDS. */
export function httpManager(routes: string): object {
  return {
    "@type": `${types}.network.http_connection_manager.v3.HttpConnectionManager`,
    rds: { config_source: { ads: {}, resource_api_version: "V3" }, route_config_name: routes },
    http_filters: [router],
  };
}

/** A listener for gRPC. */
export function listener(name: string, routes: string): object {
  return { name, api_listener: { api_listener: httpManager(routes) } };
}

/** A route for all calls, to clusters by their weights. */
export function routeTo(name: string, clusters: Readonly<Record<string, number>>): object {
  const weighted = Object.entries(clusters).map(([cluster, weight]) => ({ name: cluster, weight }));
  const routes = [{ match: { prefix: "" }, route: { weighted_clusters: { clusters: weighted } } }];
  return { name, virtual_hosts: [{ name: "all", domains: ["*"], routes }] };
}

/** A cluster whose endpoints come by EDS. */
export function cluster(name: string): object {
  const eds = { eds_config: { ads: {}, resource_api_version: "V3" } };
  return { name, type: "EDS", eds_cluster_config: eds, connect_timeout: "1s", ...http2Upstream };
}

/** The endpoints of a cluster. */
export function assignment(name: string, ...places: readonly Place[]): object {
  const endpoints = places.map(({ zone = "", ports, weight = 1, priority = 0 }) => ({
    locality: { zone },
    load_balancing_weight: weight,
    priority,
    lb_endpoints: ports.map((port) => ({
      endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
    })),
  }));
  return { cluster_name: name, endpoints };
}
