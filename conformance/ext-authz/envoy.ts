import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchEnvoy } from "../../bench/peers.ts";
import { freePort, listening } from "../listening.ts";
import { http2Upstream } from "../xds/resources.ts";

/** An Envoy in front of an upstream, which asks an authorizer about each request. */
export interface GuardedEnvoy extends AsyncDisposable {
  readonly url: string;
}

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;

/** @param ports of the authorizer, of an upstream of HTTP/1.1 and of one of gRPC */
export async function startEnvoy(ports: {
  readonly authorizer: number;
  readonly http: number;
  readonly grpc: number;
}): Promise<GuardedEnvoy> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-envoy-"));
  const address = (port_value: number) => ({ socket_address: { address: "127.0.0.1", port_value } });
  const cluster = (name: string, to: number, more: object = {}) => ({
    name,
    type: "STATIC",
    connect_timeout: "1s",
    ...more,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(to) } }] }],
    },
  });
  const manager = {
    "@type": type("network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "front",
    codec_type: "AUTO",
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            { match: { prefix: "/", grpc: {} }, route: { cluster: "grpc" } },
            { match: { prefix: "/" }, route: { cluster: "http" } },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.ext_authz",
        typed_config: {
          "@type": type("http.ext_authz.v3.ExtAuthz"),
          transport_api_version: "V3",
          grpc_service: { envoy_grpc: { cluster_name: "authorizer" }, timeout: "5s" },
        },
      },
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": type("http.router.v3.Router") },
      },
    ],
  };
  const config = {
    static_resources: {
      clusters: [
        cluster("authorizer", ports.authorizer, http2Upstream),
        cluster("http", ports.http),
        cluster("grpc", ports.grpc, http2Upstream),
      ],
      listeners: [
        {
          name: "front",
          address: address(port),
          filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
        },
      ],
    },
  };
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(config));
  const args = ["-c", file, "--concurrency", "1", "--base-id", String(port), "--log-level", "error"];
  const child = spawn(await fetchEnvoy(), args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  await listening(child, port);
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
