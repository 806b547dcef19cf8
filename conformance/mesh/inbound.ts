import type { AuthorizationPolicy, EnvoyFilter, Labels, RequestAuthentication } from "../deploy/objects.ts";
import type { Manifests } from "../deploy/manifests.ts";
import { addressOf, extension } from "./envoy.ts";
import { tlsOf, type Identity } from "./outbound.ts";

/** A pod behind its sidecar. */
export interface Inbound {
  readonly name: string;
  /** Port of the sidecar. */
  readonly port: number;
  /** Port of the program. */
  readonly app: number;
  /** Port of the program by the manifests. */
  readonly declared: number;
  readonly labels: Labels;
  readonly isHttp2: boolean;
  /** Keys of tokens, JWKS. */
  readonly keys: string;
  /** File for a line of each request: its `:authority`. Default: none. */
  readonly log?: string;
  /** File for the lines that Telemetry asks for. Default: none. */
  readonly chosenLog?: string;
}

const logTypes = "access_loggers.file.v3.FileAccessLog";

/** The listener of a sidecar: mutual TLS, then what the policies of its pod say. */
export function inboundListener(pod: Inbound, manifests: Manifests, identity: Identity): object {
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: pod.name,
    forward_client_cert_details: "APPEND_FORWARD",
    set_current_client_cert_details: { subject: true, dns: true, uri: true },
    access_log: accessLogs(pod, manifests),
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            { match: { prefix: "/" }, route: { cluster: pod.name, timeout: "0s", max_grpc_timeout: "0s" } },
          ],
        },
      ],
    },
    http_filters: [
      ...tokens(pod, manifests.of("RequestAuthentication")),
      ...access(pod, manifests.of("AuthorizationPolicy")),
      ...patches(pod, manifests.of("EnvoyFilter")),
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": extension("filters.http.router.v3.Router") },
      },
    ],
  };
  return {
    name: pod.name,
    address: addressOf(pod.port),
    filter_chains: [
      {
        filters: [{ name: "http", typed_config: manager }],
        transport_socket: {
          name: "envoy.transport_sockets.tls",
          typed_config: {
            "@type": extension("transport_sockets.tls.v3.DownstreamTlsContext"),
            require_client_certificate: true,
            common_tls_context: tlsOf(identity),
          },
        },
      },
    ],
  };
}

/** The cluster of the program itself. */
export function appCluster({ name, app, isHttp2 }: Pick<Inbound, "name" | "app" | "isHttp2">): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
        explicit_http_config: isHttp2 ? { http2_protocol_options: {} } : { http_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(app) } }] }],
    },
  };
}

function isFor(labels: Labels | undefined, pod: Inbound): boolean {
  return Object.entries(labels ?? {}).every(([name, value]) => pod.labels[name] === value);
}

/** Istio lets requests without a token pass; its policies and the program decide on them. */
function tokens(pod: Inbound, all: readonly RequestAuthentication[]): object[] {
  const rules = all
    .filter(({ spec }) => isFor(spec.selector?.matchLabels, pod))
    .flatMap(({ spec }) => spec.jwtRules);
  const providers = Object.fromEntries(
    rules.map(({ issuer, audiences }, index) => [
      `issuer-${index}`,
      {
        issuer,
        audiences,
        forward: true,
        payload_in_metadata: "payload",
        local_jwks: { inline_string: pod.keys },
      },
    ]),
  );
  const known = Object.keys(providers).map((provider_name) => ({ provider_name }));
  const requirements = [...known, { allow_missing: {} }];
  const typed_config = {
    "@type": extension("filters.http.jwt_authn.v3.JwtAuthentication"),
    providers,
    rules: [{ match: { prefix: "/" }, requires: { requires_any: { requirements } } }],
  };
  return [{ name: "envoy.filters.http.jwt_authn", typed_config }];
}

/** What no policy allows is denied, as the policy without rules says. */
function access(pod: Inbound, all: readonly AuthorizationPolicy[]): object[] {
  const policies = all
    .filter(({ spec }) => isFor(spec.selector?.matchLabels, pod))
    .flatMap(({ metadata, spec }) =>
      (spec.rules ?? []).map(({ from = [], to = [] }, index) => [
        `${metadata.name}-${index}`,
        {
          permissions: to.map(({ operation: { ports = [], paths = [] } }) =>
            allOf("and_rules", [
              ports.map((port) => ({
                destination_port: Number(port) === pod.declared ? pod.port : Number(port),
              })),
              paths.map((path) => ({ url_path: { path: textMatch(path) } })),
            ]),
          ),
          principals: from.map(({ source: { principals = [], requestPrincipals = [] } }) =>
            allOf("and_ids", [
              principals.map((name) => ({
                authenticated: { principal_name: { exact: `spiffe://${name}` } },
              })),
              requestPrincipals.map(issuerMatch),
            ]),
          ),
        },
      ]),
    );
  const rules = { action: "ALLOW", policies: Object.fromEntries(policies) as object };
  return [
    {
      name: "envoy.filters.http.rbac",
      typed_config: { "@type": extension("filters.http.rbac.v3.RBAC"), rules },
    },
  ];
}

/** All of some lists, of each of which one is enough; empty lists say nothing. */
function allOf(name: "and_rules" | "and_ids", lists: readonly (readonly object[])[]): object {
  const [all, one] = name === "and_rules" ? ["rules", "or_rules"] : ["ids", "or_ids"];
  const parts = lists
    .filter((list) => list.length > 0)
    .map((list) => ({ [one ?? ""]: { [all ?? ""]: list } }));
  return { [name]: { [all ?? ""]: parts } };
}

function textMatch(text: string): object {
  return text.endsWith("*") ? { prefix: text.slice(0, -1) } : { exact: text };
}

/** `ISSUER/*`: any subject of an issuer. */
function issuerMatch(principal: string): object {
  return {
    metadata: {
      filter: "envoy.filters.http.jwt_authn",
      path: [{ key: "payload" }, { key: "iss" }],
      value: { string_match: { exact: principal.replace(/\/\*$/, "") } },
    },
  };
}

/** The filters that EnvoyFilters put in. */
function patches(pod: Inbound, all: readonly EnvoyFilter[]): object[] {
  return all
    .filter(({ spec }) => isFor(spec.workloadSelector.labels, pod))
    .flatMap(({ spec }) => spec.configPatches.map(({ patch }) => patch.value));
}

function accessLogs({ log, chosenLog }: Inbound, manifests: Manifests): object[] {
  const line = (path: string, text: string) => ({
    "@type": extension(logTypes),
    path,
    log_format: { text_format_source: { inline_string: `${text}\n` } },
  });
  // The field is in Telemetry alone.
  const [telemetry] = manifests.objects.filter(({ kind }) => kind === "Telemetry") as unknown as {
    spec: { accessLogging: { filter: { expression: string } }[] };
  }[];
  const expression = telemetry?.spec.accessLogging[0]?.filter.expression;
  const cel = { "@type": extension("access_loggers.filters.cel.v3.ExpressionFilter"), expression };
  return [
    ...(log === undefined ? [] : [{ name: "file", typed_config: line(log, "%REQ(:AUTHORITY)%") }]),
    ...(chosenLog === undefined
      ? []
      : [
          {
            name: "chosen",
            filter: { extension_filter: { name: "cel", typed_config: cel } },
            typed_config: line(chosenLog, "%REQ(:PATH)% %RESPONSE_CODE%"),
          },
        ]),
  ];
}
