import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchEnvoy } from "../../bench/peers.ts";
import { freePort, listening } from "../listening.ts";
import { httpManager, http2Upstream } from "./resources.ts";

/** An Envoy that has its routes, clusters and endpoints from a control plane. */
export class Envoy implements AsyncDisposable {
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.address = `127.0.0.1:${port}`;
    this.#process = child;
    this.#folder = folder;
  }

  /**
   * @param planePort of the control plane
   * @param routes name of the route configuration
   */
  static async start(planePort: number, routes: string): Promise<Envoy> {
    const binary = await fetchEnvoy();
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-envoy-"));
    const ads = { ads: {}, resource_api_version: "V3" };
    const address = (port_value: number) => ({ socket_address: { address: "127.0.0.1", port_value } });
    const plane = {
      name: "plane",
      type: "STATIC",
      connect_timeout: "1s",
      ...http2Upstream,
      load_assignment: {
        cluster_name: "plane",
        endpoints: [{ lb_endpoints: [{ endpoint: { address: address(planePort) } }] }],
      },
    };
    const filter = { name: "http", typed_config: { ...httpManager(routes), stat_prefix: "front" } };
    const config = {
      node: { id: "envoy", cluster: "tests" },
      dynamic_resources: {
        ads_config: {
          api_type: "GRPC",
          transport_api_version: "V3",
          grpc_services: [{ envoy_grpc: { cluster_name: "plane" } }],
        },
        cds_config: ads,
      },
      static_resources: {
        clusters: [plane],
        listeners: [{ name: "front", address: address(port), filter_chains: [{ filters: [filter] }] }],
      },
    };
    const file = join(folder, "envoy.json");
    writeFileSync(file, JSON.stringify(config));
    const args = ["-c", file, "--concurrency", "1", "--base-id", String(port), "--log-level", "error"];
    const child = spawn(binary, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
    await listening(child, port);
    return new Envoy(port, child, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
