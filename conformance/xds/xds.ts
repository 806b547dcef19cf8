import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { GoMs } from "../../gen/go/micro/service/goms/goms_pb.ts";
import { xdsResolver } from "../../src/entries/xds.ts";
import { createClient, dial, GrpcServer, type Interceptor } from "../../src/index.ts";
import { GomsService } from "../../src/services/goms/goms-service.ts";
import type { Endpoint } from "../../src/entries/clients.ts";
import { Checks, type Suite } from "../suite.ts";
import { goProgram } from "../tools.ts";
import { ControlPlane } from "./control-plane.ts";
import { assignment, cluster, listener, routeTo, type Resources } from "./resources.ts";

const modules = [
  "github.com/envoyproxy/go-control-plane@v0.14.0",
  "github.com/envoyproxy/go-control-plane/envoy@v1.40.0",
  "google.golang.org/grpc@v1.85.0",
];

/** How long the control plane is away, in milliseconds, while calls are made. */
const awayMs = 3_000;
/** Calls whose split is measured, and how far it may be off, as a share of all. */
const splitCalls = 10_000;
const splitLimit = 0.01;

/** A real control plane of xDS, go-control-plane: resources that come, change and are bad, and its absence. */
export const xds: Suite = {
  name: "xds",
  slow: true,
  async run() {
    const program = await goProgram(join(import.meta.dirname, "control-plane.go"), modules);
    const checks = new Checks();
    await using servers = await Servers.start(4);
    const [first, second, third, fourth] = servers.ports;
    const base: Resources = {
      listeners: [listener("users", "r")],
      routes: [routeTo("r", { one: 1 })],
      clusters: [cluster("one")],
      endpoints: [assignment("one", { ports: [first] })],
    };
    await using plane = await ControlPlane.start(program, base);
    const closed = new AbortController();
    const found = new Watched("users", plane.bootstrap, closed.signal);
    await using transport = dial(xdsResolver("users", { bootstrap: plane.bootstrap }), {
      balance: "round_robin",
    });
    const client = createClient(GoMs, transport);

    await checks.check("a name is found, and called", async () => {
      await found.until(({ ports }) => ports === `${first}`);
      await client.list({});
      const requests = plane.lines.filter((line) => /^ask \w+ "1" /.test(line));
      for (const kind of ["Listener", "RouteConfiguration", "Cluster", "ClusterLoadAssignment"]) {
        assert.ok(
          requests.some((line) => line.includes(` ${kind} `)),
          `no ACK of ${kind}: ${requests.join("; ")}`,
        );
      }
    });
    await checks.check("K06: an endpoint that moves is found within 1 s", async () => {
      const startedMs = performance.now();
      await plane.set({ ...base, endpoints: [assignment("one", { ports: [second] })] });
      await found.until(({ ports }) => ports === `${second}`);
      assert.ok(performance.now() - startedMs < 1_000, `${performance.now() - startedMs} ms`);
      await client.list({});
    });
    await checks.check("K06: one bad cluster among ten is named, the other nine are used", async () => {
      const names = Array.from({ length: 10 }, (_, index) => `c${index}`);
      const bad = { ...cluster("c4"), type: "STRICT_DNS", eds_cluster_config: undefined };
      await plane.set({
        ...base,
        routes: [routeTo("r", Object.fromEntries(names.map((name) => [name, 1])))],
        clusters: names.map((name) => (name === "c4" ? bad : cluster(name))),
        endpoints: names
          .filter((name) => name !== "c4")
          .map((name, index) => assignment(name, { ports: [10_000 + index] })),
      });
      await found.until(({ endpoints }) => endpoints.length === 9);
      const nack = await plane.line(/^NACK /);
      assert.match(nack, /^NACK Cluster ".*" cluster c4: only clusters of the type EDS are supported$/);
    });
    await checks.check(
      "K06: while the control plane is away no call fails, and it goes on as it is back",
      async () => {
        await plane.set({ ...base, endpoints: [assignment("one", { ports: [first, second] })] });
        await found.until(({ endpoints }) => endpoints.length === 2);
        await plane.stop();
        const endMs = performance.now() + awayMs;
        for (let calls = 0; performance.now() < endMs; calls++) {
          await client.list({});
          await delay(2);
        }
        await plane.restart({ ...base, endpoints: [assignment("one", { ports: [third] })] });
        await found.until(({ ports }) => ports === `${third}`);
        await client.list({});
      },
    );
    await checks.check("localities have their weights, and priorities follow one another", async () => {
      await plane.set({
        ...base,
        endpoints: [
          assignment(
            "one",
            { zone: "a", ports: [first], weight: 3 },
            { zone: "b", ports: [second] },
            { zone: "c", ports: [third], priority: 1 },
          ),
        ],
      });
      await found.until(({ endpoints }) => endpoints.length === 3);
      const shown = found.endpoints.map(({ zone, weight, priority }) => `${zone} ${weight} ${priority}`);
      assert.deepEqual(shown.toSorted(), ["a 3 0", "b 1 0", "c 1 1"]);
    });
    await checks.check(
      `the clusters of a route split ${splitCalls} calls within ${splitLimit * 100} %`,
      async () => {
        await plane.set({
          ...base,
          routes: [routeTo("r", { one: 80, two: 20 })],
          clusters: [cluster("one"), cluster("two")],
          endpoints: [
            assignment("one", { ports: [first, second, third] }),
            assignment("two", { ports: [fourth] }),
          ],
        });
        await found.until(({ endpoints }) => endpoints.length === 4);
        while (transport.stats().endpoints.filter(({ state }) => state === "ready").length < 4)
          await delay(10);
        servers.calls.fill(0);
        const call = async (): Promise<void> => {
          for (let count = 0; count < splitCalls / 10; count++) await client.list({});
        };
        await Promise.all(Array.from({ length: 10 }, call));
        const share = (servers.calls[3] ?? 0) / splitCalls;
        assert.ok(Math.abs(share - 0.2) <= splitLimit, `${share}`);
      },
    );
    await checks.check("a name that the control plane does not know is not there after 15 s", async () => {
      const startedMs = performance.now();
      const unknown = new Watched("nothing", plane.bootstrap, closed.signal);
      await unknown.until(({ problem }) => problem !== "");
      assert.equal(unknown.problem, "xds: there is no listener nothing");
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs > 14_000 && tookMs < 17_000, `${tookMs} ms`);
    });
    closed.abort();
    return checks.result;
  },
};

/** Servers that count their calls. */
class Servers implements AsyncDisposable {
  readonly calls: number[] = [];
  readonly #servers: GrpcServer[] = [];

  static async start(count: number): Promise<Servers> {
    const servers = new Servers();
    for (let index = 0; index < count; index++) {
      const counting: Interceptor = (next) => (request) => {
        servers.calls[index] = (servers.calls[index] ?? 0) + 1;
        return next(request);
      };
      const server = new GrpcServer({ port: 0, interceptors: [counting] }).addService(
        new GomsService("users"),
      );
      await server.start();
      servers.#servers.push(server);
      servers.calls.push(0);
    }
    return servers;
  }

  get ports(): readonly [number, number, number, number] {
    const [first, second, third, fourth] = this.#servers.map(({ address }) => address?.port ?? 0);
    return [first ?? 0, second ?? 0, third ?? 0, fourth ?? 0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server.gracefulStop({ graceMs: 0 });
  }
}

/** What a resolver finds. */
class Watched {
  endpoints: readonly Endpoint[] = [];
  /** Text of the last failure. */
  problem = "";
  #changed: () => void = () => {};

  constructor(name: string, bootstrap: object, signal: AbortSignal) {
    const update = (endpoints: readonly Endpoint[]): void => {
      this.endpoints = endpoints;
      this.#changed();
    };
    const failed = ({ rawMessage }: { readonly rawMessage: string }): void => {
      this.problem = rawMessage;
      this.#changed();
    };
    xdsResolver(name, { bootstrap }).watch({ update, failed }, signal);
  }

  get ports(): string {
    return this.endpoints.map(({ address }) => address.replace("127.0.0.1:", "")).join();
  }

  /** @throws Error after 30 s */
  async until(isGood: (watched: this) => boolean): Promise<void> {
    const limit = AbortSignal.timeout(30_000);
    while (!isGood(this)) {
      await new Promise<void>((resolve, reject) => {
        this.#changed = resolve;
        const found = `found ${JSON.stringify(this.endpoints)} ${this.problem}`;
        limit.addEventListener("abort", () => reject(new Error(found)));
      });
    }
  }
}
