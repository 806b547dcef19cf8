import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifests } from "../deploy/manifests.ts";
import type { DestinationRule } from "../deploy/objects.ts";
import { freePort } from "../listening.ts";
import { addressOf, Envoy, extension } from "../mesh/envoy.ts";
import { clusterOf } from "../mesh/outbound.ts";

/** The ports of a pod. */
export interface Endpoint {
  readonly http: number;
  readonly grpc: number;
}

/**
 * An Envoy in the place of a Service: it spreads requests over the pods that are listed, with the numbers of the mesh,
 * and sends nothing again.
 */
export class ServiceProxy implements AsyncDisposable {
  readonly address: string;
  readonly #envoy: Envoy;

  private constructor(port: number, envoy: Envoy) {
    this.address = `127.0.0.1:${port}`;
    this.#envoy = envoy;
  }

  static async start(manifests: Manifests, endpoints: readonly Endpoint[]): Promise<ServiceProxy> {
    const rule = (name: string): DestinationRule => {
      const found = manifests.named("DestinationRule", name);
      if (found === undefined) throw new Error(`the manifests have no DestinationRule ${name}`);
      return found;
    };
    const port = await freePort();
    const envoy = await Envoy.start([port], (folder) => {
      for (const kind of ["http", "grpc"] as const) {
        writeFileSync(join(folder, `${kind}.json`), assignment(kind, endpoints));
      }
      return {
        listeners: [listener(port)],
        clusters: [cluster("http", rule("gateway"), folder), cluster("grpc", rule("library"), folder)],
      };
    });
    return new ServiceProxy(port, envoy);
  }

  /** Lists other pods, as a Service does when pods come and go. */
  list(endpoints: readonly Endpoint[]): void {
    for (const kind of ["http", "grpc"] as const)
      this.#envoy.replace(`${kind}.json`, assignment(kind, endpoints));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#envoy[Symbol.asyncDispose]();
  }
}

function cluster(kind: "http" | "grpc", rule: DestinationRule, folder: string): object {
  const { load_assignment: _, ...numbers } = clusterOf({ name: kind, ports: [] }, rule, undefined) as {
    load_assignment?: object;
  }; // It has one.
  const path_config_source = { path: join(folder, `${kind}.json`), watched_directory: { path: folder } };
  return {
    ...numbers,
    type: "EDS",
    eds_cluster_config: { eds_config: { path_config_source, resource_api_version: "V3" } },
    // A pod that is not listed any more gets no further requests on connections that it still has.
    ignore_health_on_host_removal: true,
    ...(kind === "http" && { typed_extension_protocol_options: http1 }),
  };
}

const http1 = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
    common_http_protocol_options: { idle_timeout: "60s" },
    explicit_http_config: { http_protocol_options: {} },
  },
};

function assignment(kind: "http" | "grpc", endpoints: readonly Endpoint[]): string {
  const resource = {
    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    cluster_name: kind,
    endpoints: [{ lb_endpoints: endpoints.map((pod) => ({ endpoint: { address: addressOf(pod[kind]) } })) }],
  };
  return JSON.stringify({ resources: [resource] });
}

function listener(port: number): object {
  const to = (name: string) => ({ cluster: name, timeout: "0s", max_grpc_timeout: "0s" });
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "service",
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            { match: { prefix: "/", grpc: {} }, route: to("grpc") },
            { match: { prefix: "/" }, route: to("http") },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": extension("filters.http.router.v3.Router") },
      },
    ],
  };
  return {
    name: "service",
    address: addressOf(port),
    filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
  };
}
