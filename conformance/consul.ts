import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { consulResolver, register } from "../src/entries/consul.ts";
import type { Endpoint } from "../src/entries/clients.ts";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { Program } from "../test/support/program.ts";
import { TemporaryFiles } from "../test/support/temporary-files.ts";
import { ConsulAgent } from "./consul-agent.ts";
import { Checks, type Suite } from "./suite.ts";

/** A real Consul agent: registration, checks, blocking queries, and an agent that restarts without its memory. */
export const consul: Suite = {
  name: "consul",
  async run() {
    await using agent = await ConsulAgent.start();
    const checks = new Checks();
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
    await checks.check("demo:clients finds its servers by Consul", async () => {
      process.env["CONSUL_BINARY"] = agent.binary; // The demo starts an agent of its own.
      await using demo = new Program("examples/clients.ts");
      await demo.line(/^dial\("consul:\/\/\/goms"\)$/);
      await demo.line(/^\d+ calls, 0 lost$/);
      assert.equal((await demo.exit()).code, 0);
    });
    await checks.check("a program of a configuration file is a gateway over what registers", async () => {
      await gatewayOfFile(agent);
    });
    return checks.result;
  },
};

/** Two programs that know one another by the agent alone: services, and a gateway that is a file. */
async function gatewayOfFile(agent: ConsulAgent): Promise<void> {
  await using files = await TemporaryFiles.create();
  const servicesFile = await files.write(
    "services.yaml",
    `discovery: { consul: { url: "${agent.url}" } }
register: { consul: { name: library, tags: [ts-ms], interval: 1s, settle: 0s } }
`,
  );
  const gatewayFile = await files.write(
    "gateway.yaml",
    `discovery: { consul: { url: "${agent.url}" }, catalog: { consul_tag: ts-ms } }
register: { consul: { name: edge, check: http, path: /livez, interval: 1s, settle: 0s } }
policies: [{ selector: library.v1.LibraryService.*, retry: { max_attempts: 4 } }]
`,
  );
  const free = ["--http-port=0", "--grpc-port=0", "--exporter-port=off"];
  await using services = new Program("examples/app.ts", `--config=${servicesFile}`, ...free);
  await services.address("HTTP");
  await using edge = new Program("examples/edge.ts", `--config=${gatewayFile}`, ...free);
  const url = `http://${await edge.address("HTTP")}`;
  const limit = AbortSignal.timeout(15_000);
  for (;;) {
    const response = await fetch(`${url}/v1/shelves`, { signal: limit });
    if (response.status === 200) break;
    await delay(50);
  }
  const registered = await agent.get<Record<string, { Service: string }>>("/v1/agent/services");
  assert.deepEqual(
    Object.values(registered)
      .map(({ Service }) => Service)
      .toSorted(),
    ["edge", "library"],
  );
  assert.equal((await services.stop()).code, 0);
  assert.equal((await edge.stop()).code, 0);
  assert.deepEqual(await agent.get("/v1/agent/services"), {});
}

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
