import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ForeignProgram } from "./foreign-program.ts";

/** How long Envoy may take to start, in milliseconds; less than the bench waits for a contestant. */
const patienceMs = 20_000;

/** The name of a type of Envoy's configuration. */
export function extension(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}

/** A cluster of servers on this machine that speak HTTP/2. @param targets their addresses with ports */
export function http2Cluster(name: string, targets: readonly string[]): object {
  const options = extension("upstreams.http.v3.HttpProtocolOptions");
  return {
    name,
    type: "STATIC",
    typed_extension_protocol_options: {
      [options.slice("type.googleapis.com/".length)]: {
        "@type": options,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: targets.map((target) => ({
            endpoint: { address: address(Number(target.split(":")[1])) },
          })),
        },
      ],
    },
  };
}

/**
 * Starts Envoy with one worker thread and a listener on a port that the system chooses.
 *
 * @param connections what the listener does: an `HttpConnectionManager`, whose requests go to the cluster `backend`
 */
export async function startEnvoy(
  binary: string,
  connections: object,
  clusters: readonly object[],
): Promise<{ readonly program: ForeignProgram; readonly port: number }> {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-envoy-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const adminFile = join(folder, "admin");
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "calls",
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "backend" } }] },
      ],
    },
    ...connections,
  };
  const configuration = {
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        {
          name: "calls",
          address: address(0),
          filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
        },
      ],
      clusters,
    },
  };
  const program = new ForeignProgram(binary, [
    ...["--config-yaml", JSON.stringify(configuration), "--admin-address-path", adminFile],
    ...["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
  ]);
  return { program, port: await listeningPort(adminFile) };
}

function address(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/**
 * Reads the port of the listener from Envoy's admin interface, which has a port of its own; the system has chosen both.
 */
async function listeningPort(adminFile: string): Promise<number> {
  interface Listeners {
    readonly listener_statuses?: readonly {
      readonly local_address: { readonly socket_address: { readonly port_value: number } };
    }[];
  }
  const end = performance.now() + patienceMs;
  while (performance.now() < end) {
    await pause(20);
    const admin = existsSync(adminFile) ? readFileSync(adminFile, "utf8") : "";
    if (admin === "") continue;
    const ready = await fetch(`http://${admin}/ready`);
    await ready.arrayBuffer();
    if (ready.status !== 200) continue;
    const response = await fetch(`http://${admin}/listeners?format=json`);
    const { listener_statuses: [listener] = [] } = (await response.json()) as Listeners; // As documented by Envoy.
    const port = listener?.local_address.socket_address.port_value ?? 0;
    if (port > 0) return port;
  }
  throw new Error("Envoy is not ready");
}
