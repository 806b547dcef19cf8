import type { Certificate } from "../../test/support/certificates.ts";
import type { DestinationRule, MeshRoute, VirtualService } from "../deploy/objects.ts";
import { addressOf, extension } from "./envoy.ts";

/** Where a call goes: the pods of a subset, by the ports of their sidecars. */
export interface Upstream {
  readonly name: string;
  readonly ports: readonly number[];
}

/** What a sidecar shows, and whom it expects. */
export interface Identity {
  readonly certificate: Certificate;
  readonly authority: Certificate;
  /** SPIFFE name of the other side. */
  readonly peer: string;
}

/** An Envoy cluster as Istio makes it of a DestinationRule. @param identity undefined for plain text */
export function clusterOf(
  { name, ports }: Upstream,
  { spec }: DestinationRule,
  identity: Identity | undefined,
): object {
  const { connectionPool, outlierDetection: outlier } = spec.trafficPolicy;
  const { tcp, http } = connectionPool;
  return {
    name,
    type: "STATIC",
    connect_timeout: tcp.connectTimeout,
    lb_policy: "LEAST_REQUEST",
    circuit_breakers: {
      thresholds: [
        {
          max_connections: tcp.maxConnections,
          max_requests: http.http2MaxRequests,
          max_pending_requests: 2 ** 32 - 1,
          max_retries: 2 ** 32 - 1,
        },
      ],
    },
    outlier_detection: {
      consecutive_5xx: outlier.consecutive5xxErrors,
      consecutive_gateway_failure: outlier.consecutiveGatewayErrors,
      enforcing_consecutive_gateway_failure: 100,
      enforcing_success_rate: 0,
      interval: outlier.interval,
      base_ejection_time: outlier.baseEjectionTime,
      max_ejection_percent: outlier.maxEjectionPercent,
    },
    upstream_connection_options: {
      tcp_keepalive: {
        keepalive_probes: tcp.tcpKeepalive.probes,
        keepalive_time: parseInt(tcp.tcpKeepalive.time, 10),
        keepalive_interval: parseInt(tcp.tcpKeepalive.interval, 10),
      },
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
        common_http_protocol_options: { idle_timeout: http.idleTimeout.replace("1h", "3600s") },
        explicit_http_config: {
          http2_protocol_options: { max_concurrent_streams: http.maxConcurrentStreams },
        },
      },
    },
    ...(identity !== undefined && {
      transport_socket: {
        name: "envoy.transport_sockets.tls",
        typed_config: {
          "@type": extension("transport_sockets.tls.v3.UpstreamTlsContext"),
          common_tls_context: tlsOf(identity),
        },
      },
    }),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: addressOf(port) } })) }],
    },
  };
}

/** The certificates of a side, and the check of the other one's name. */
export function tlsOf({ certificate, authority, peer }: Identity): object {
  return {
    alpn_protocols: ["h2"],
    tls_certificates: [
      {
        certificate_chain: { inline_string: certificate.cert },
        private_key: { inline_string: certificate.key },
      },
    ],
    validation_context: {
      trusted_ca: { inline_string: authority.cert },
      ...(peer !== "" && { match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: peer } }] }),
    },
  };
}

/** The listener of calls to others, with routes as Istio makes them of a VirtualService. */
export function outboundListener(port: number, { spec }: VirtualService): object {
  const routes = spec.http.flatMap(routesOf);
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "outbound",
    route_config: { virtual_hosts: [{ name: "library", domains: ["*"], routes }] },
    http_filters: [
      {
        name: "envoy.filters.http.fault",
        typed_config: { "@type": extension("filters.http.fault.v3.HTTPFault") },
      },
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": extension("filters.http.router.v3.Router") },
      },
    ],
  };
  return {
    name: "outbound",
    address: addressOf(port),
    filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
  };
}

/** A route of Envoy for each match of one of Istio. */
function routesOf(route: MeshRoute): object[] {
  return (route.match ?? [{}]).map(({ uri, headers = {} }) => ({
    match: {
      ...(uri?.exact === undefined ? { prefix: "/" } : { path: uri.exact }),
      headers: Object.entries(headers).map(([name, value]) => ({ name, string_match: value })),
    },
    route: actionOf(route),
    ...(route.fault !== undefined && {
      typed_per_filter_config: { "envoy.filters.http.fault": faultOf(route.fault) },
    }),
  }));
}

function actionOf({ route, timeout = "0s", retries, mirrors = [] }: MeshRoute): object {
  const clusters = route.map(({ destination, weight = 100 }) => ({ name: destination.subset, weight }));
  return {
    weighted_clusters: { clusters },
    timeout,
    max_grpc_timeout: timeout,
    request_mirror_policies: mirrors.map(({ destination, percentage }) => ({
      cluster: destination.subset,
      runtime_fraction: { default_value: { numerator: percentage.value * 10_000, denominator: "MILLION" } },
    })),
    ...(retries !== undefined &&
      retries.attempts > 0 && {
        retry_policy: {
          retry_on: retries.retryOn,
          num_retries: retries.attempts,
          retry_host_predicate: [
            {
              name: "envoy.retry_host_predicates.previous_hosts",
              typed_config: { "@type": extension("retry.host.previous_hosts.v3.PreviousHostsPredicate") },
            },
          ],
          host_selection_retry_max_attempts: 5,
        },
      }),
  };
}

/** Numbers of the statuses that faults have. */
const statuses: Readonly<Record<string, number>> = { UNAVAILABLE: 14 };

function faultOf({ abort, delay }: NonNullable<MeshRoute["fault"]>): object {
  const percent = ({ value }: { readonly value: number }) => ({ numerator: value, denominator: "HUNDRED" });
  return {
    "@type": extension("filters.http.fault.v3.HTTPFault"),
    ...(abort !== undefined && {
      abort: { grpc_status: statuses[abort.grpcStatus], percentage: percent(abort.percentage) },
    }),
    ...(delay !== undefined && {
      delay: { fixed_delay: delay.fixedDelay, percentage: percent(delay.percentage) },
    }),
  };
}
