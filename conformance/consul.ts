import { spawn, type ChildProcess } from "node:child_process";
import { strict as assert } from "node:assert";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { consulResolver, register } from "../src/entries/consul.ts";
import type { Endpoint } from "../src/entries/clients.ts";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { Checks, type Suite } from "./suite.ts";
import { debianPackages } from "./tools.ts";

/** A real Consul agent: registration, checks, blocking queries, and an agent that restarts without its memory. */
export const consul: Suite = {
  name: "consul",
  async run() {
    const root = await debianPackages("bullseye", ["consul"]);
    const checks = new Checks();
    await using agent = await Agent.start(join(root, "usr/bin/consul"));
    await using grpc = new GrpcServer({ port: 0 });
    await using other = new GrpcServer({ port: 0 });
    await using http = new HttpServer({ port: 0, upstream: grpc });
    for (const server of [grpc, other, http]) await server.start();
    const common = { url: agent.url, intervalMs: 500, settleMs: 500, verifyMs: 2_000 };
    const options = { ...common, tags: ["v2"], meta: { zone: "a" }, weight: 3 };
    const first = register({ name: "users", server: grpc, ...options });
    const second = register({ name: "users", server: other, ...common, check: "tcp" });
    const gateway = register({ name: "gateway", server: http, ...common, check: "http", path: "/livez" });
    const byTtl = register({ name: "jobs", server: grpc, ...common, check: "ttl", ttlMs: 1_500 });
    const closed = new AbortController();
    const users = new Watched(agent.url, "users", {}, closed.signal);
    const tagged = new Watched(agent.url, "users", { tag: "v2" }, closed.signal);

    await checks.check("an unknown service has no instance", () => users.until((list) => list.length === 0));
    await checks.check("a registered server is found within 2 s, with its weight and zone", async () => {
      await first.start();
      const startedMs = performance.now();
      await users.until((list) => list.length === 1);
      assert.ok(performance.now() - startedMs < 2_000);
      const { address, weight, zone } = users.endpoints[0] ?? assert.fail();
      assert.deepEqual({ address, weight, zone }, { address: addressOf(grpc), weight: 3, zone: "a" });
    });
    await checks.check("instances are passing from the begin", async () => {
      await second.start();
      await users.until((list) => list.length === 2);
    });
    await checks.check("a tag selects", () => tagged.until((list) => list.length === 1));
    await checks.check("the checks of the agent pass: grpc, tcp, http, ttl", async () => {
      await gateway.start();
      await byTtl.start();
      await delay(2_500); // Longer than the interval of all checks, and than the ttl.
      const states = await agent.get<Record<string, { Status: string }>>("/v1/agent/checks");
      assert.deepEqual(new Set(Object.values(states).map(({ Status }) => Status)), new Set(["passing"]));
      assert.equal(Object.keys(states).length, 4);
    });
    await checks.check("a server that is not serving fails its check and is left out", async () => {
      grpc.drain();
      await users.until((list) => list.length === 1);
      assert.equal(users.endpoints[0]?.address, addressOf(other));
    });
    await checks.check("K04: an agent that restarts without memory has all again within 10 s", async () => {
      await agent.restart();
      const backMs = performance.now();
      const registered = async () => Object.keys(await agent.get<object>("/v1/agent/services")).length;
      while ((await registered()) < 4) {
        assert.ok(performance.now() - backMs < 10_000, `${await registered()} of 4 after 10 s`);
        await delay(50);
      }
      await users.until((list) => list.length >= 1);
    });
    await checks.check("a stop deregisters first, while the server is served", async () => {
      await users.until((list) => list.some(({ address }) => address === addressOf(other)));
      const stopped = second.gracefulStop();
      await users.until((list) => !list.some(({ address }) => address === addressOf(other)));
      assert.equal(other.state, "ready");
      await stopped;
    });
    for (const registration of [first, gateway, byTtl]) await registration.gracefulStop();
    await checks.check("nothing stays registered", async () => {
      assert.deepEqual(await agent.get("/v1/agent/services"), {});
    });
    closed.abort();
    return checks.result;
  },
};

function addressOf(server: GrpcServer): string {
  return `${server.address?.host}:${server.address?.port}`;
}

/** The instances of a service as a resolver finds them. */
class Watched {
  endpoints: readonly Endpoint[] = [];
  #updates = 0;
  #changed: () => void = () => {};

  constructor(url: string, service: string, options: object, signal: AbortSignal) {
    const update = (endpoints: readonly Endpoint[]): void => {
      this.endpoints = endpoints;
      this.#updates++;
      this.#changed();
    };
    // While the agent restarts it does not answer.
    consulResolver(service, { url, ...options }).watch({ update, failed: () => {} }, signal);
  }

  /** @throws Error after 15 s */
  async until(isGood: (endpoints: readonly Endpoint[]) => boolean): Promise<void> {
    const limit = AbortSignal.timeout(15_000);
    while (this.#updates === 0 || !isGood(this.endpoints)) {
      await new Promise<void>((resolve, reject) => {
        this.#changed = resolve;
        limit.addEventListener("abort", () => reject(new Error(`found ${JSON.stringify(this.endpoints)}`)));
      });
    }
  }
}

/** A Consul agent with ports of the system's choice. */
class Agent implements AsyncDisposable {
  readonly url: string;
  readonly #binary: string;
  readonly #ports: readonly number[];
  readonly #folder = mkdtempSync(join(tmpdir(), "ts-ms-consul-"));
  #process: ChildProcess | undefined;

  private constructor(binary: string, ports: readonly number[]) {
    this.#binary = binary;
    this.#ports = ports;
    this.url = `http://127.0.0.1:${ports[0]}`;
  }

  static async start(binary: string): Promise<Agent> {
    const agent = new Agent(binary, await freePorts(4));
    await agent.#start();
    return agent;
  }

  async restart(): Promise<void> {
    await this.#stop();
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
    this.#process = spawn(this.#binary, args, { cwd: this.#folder, stdio: "ignore" });
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
