import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { debianPackages } from "./tools.ts";

/** A real Consul agent of this machine, with ports of the system's choice. */
export class ConsulAgent implements AsyncDisposable {
  readonly url: string;
  /** The program. */
  readonly binary: string;
  readonly #ports: readonly number[];
  readonly #folder = mkdtempSync(join(tmpdir(), "ts-ms-consul-"));
  #process: ChildProcess | undefined;

  private constructor(binary: string, ports: readonly number[]) {
    this.binary = binary;
    this.#ports = ports;
    this.url = `http://127.0.0.1:${ports[0]}`;
  }

  /** @throws Missing if this machine has no packages of Debian */
  static async start(): Promise<ConsulAgent> {
    const root = await debianPackages("bullseye", ["consul"]);
    const agent = new ConsulAgent(join(root, "usr/bin/consul"), await freePorts(4));
    await agent.#start();
    return agent;
  }

  /** Kills it, and starts it again without its memory. */
  async restart(): Promise<void> {
    await this.kill();
    await this.startAgain();
  }

  async kill(): Promise<void> {
    await this.#stop();
  }

  async startAgain(): Promise<void> {
    await this.#start();
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const names = ["http-port", "server-port", "serf-lan-port", "serf-wan-port"];
    const ports = names.map((name, index) => `-${name}=${this.#ports[index]}`);
    const args = ["agent", "-dev", "-bind=127.0.0.1", "-grpc-port=-1", "-dns-port=-1", ...ports];
    this.#process = spawn(this.binary, args, { cwd: this.#folder, stdio: "ignore" });
    for (let attempt = 0; attempt < 200; attempt++) {
      await delay(50);
      // An empty text is no leader yet.
      const leader = await this.get<string>("/v1/status/leader").catch(() => "");
      if (leader !== "") return;
    }
    throw new Error("Consul does not start");
  }

  async #stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port); // Of TCP.
  for (const server of servers) server.close();
  return ports;
}
