import { strict as assert } from "node:assert";
import { networkInterfaces } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { kubernetesResolver } from "../src/entries/kubernetes.ts";
import type { Endpoint } from "../src/entries/clients.ts";
import { createClient, dial, GrpcServer } from "../src/index.ts";
import { KubeCluster } from "./kube-cluster.ts";
import { Checks, type Suite } from "./suite.ts";
import { Missing } from "./tools.ts";

/** Rounds of the rolling change, and the time of each, in milliseconds. */
const rounds = 10;
const roundMs = 1_000;
/** Callers that call again as soon as they have a reply. */
const callers = 4;

const slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";

/** A real API server of Kubernetes with its etcd: EndpointSlices that change, rights, and an API server that restarts. */
export const kubernetes: Suite = {
  name: "kubernetes",
  slow: true,
  async run() {
    const checks = new Checks();
    await using cluster = await KubeCluster.start(["reader", "stranger"]);
    await cluster.send("POST", "/api/v1/namespaces", { metadata: { name: "shop" } });
    const closed = new AbortController();
    const common = { server: cluster.url, ca: cluster.ca };
    const reader = new Watched("users.shop:grpc", { ...common, token: "reader" }, closed.signal);

    await checks.check("without rights the error says which are missing", async () => {
      const stranger = new Watched("users.shop", { ...common, token: "stranger" }, closed.signal);
      await stranger.until(({ problem }) => problem !== "");
      const text = "kubernetes: cannot list/watch endpointslices in shop: grant get, list, watch";
      assert.equal(stranger.problem, text);
      const unknown = new Watched("users.shop", { ...common, token: "unknown" }, closed.signal);
      await unknown.until(({ problem }) => problem !== "");
      assert.equal(unknown.problem, "kubernetes: the API server does not accept the token");
    });
    await checks.check("K05: with the rights it finds within 5 s", async () => {
      const rules = [
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["get", "list", "watch"] },
      ];
      await cluster.send("POST", `${rbac}/roles`, { metadata: { name: "finds" }, rules });
      const ref = { apiGroup: "rbac.authorization.k8s.io" };
      const roleRef = { ...ref, kind: "Role", name: "finds" };
      const subjects = [{ ...ref, kind: "User", name: "reader" }];
      await cluster.send("POST", `${rbac}/rolebindings`, { metadata: { name: "finds" }, roleRef, subjects });
      const startedMs = performance.now();
      await reader.until(({ updates }) => updates > 0);
      assert.deepEqual(reader.endpoints, []);
      assert.ok(performance.now() - startedMs < 5_000);
    });
    await checks.check("slices are joined, with zone, zone hints and key; ready decides", async () => {
      const pod = (name: string) => ({ targetRef: { kind: "Pod", name, namespace: "shop" } });
      const hints = { forZones: [{ name: "a" }] };
      const ready = { conditions: { ready: true } };
      await cluster.send(
        "POST",
        slices,
        slice("one", [{ addresses: ["10.1.0.1"], ...pod("u-1"), zone: "a", hints, ...ready }]),
      );
      const ending = { conditions: { ready: false, serving: true, terminating: true } };
      await cluster.send(
        "POST",
        slices,
        slice("two", [{ addresses: ["10.1.0.2"] }, { addresses: ["10.1.0.3"], ...ending }]),
      );
      await reader.until(({ endpoints }) => endpoints.length === 2);
      const found = reader.endpoints.toSorted((one, other) => (one.address < other.address ? -1 : 1));
      assert.deepEqual(found, [
        { address: "10.1.0.1:42001", zone: "a", zoneHints: ["a"], hashKey: "u-1" },
        { address: "10.1.0.2:42001" },
      ]);
      await cluster.send("DELETE", `${slices}/two`);
      await reader.until(({ endpoints }) => endpoints.length === 1);
    });
    await checks.check(
      "an API server that restarts: the endpoints stay, a new one is found within 5 s",
      async () => {
        await cluster.crash();
        await reader.until(({ problem }) => problem === "kubernetes: the API server does not answer");
        assert.equal(reader.endpoints.length, 1);
        await cluster.restart();
        const startedMs = performance.now();
        await cluster.send("POST", slices, slice("three", [{ addresses: ["10.1.0.4"] }]));
        await reader.until(({ endpoints }) => endpoints.length === 2);
        assert.ok(performance.now() - startedMs < 5_000, `${performance.now() - startedMs} ms`);
        for (const name of ["one", "three"]) await cluster.send("DELETE", `${slices}/${name}`);
        await reader.until(({ endpoints }) => endpoints.length === 0);
      },
    );
    closed.abort();
    await checks.check(`a rolling change of ${rounds} rounds loses no call`, () => rollingChange(cluster));
    return checks.result;
  },
};

/** A server as a pod has it: with a slice of its own, since each has a port of its own. */
interface Pod {
  readonly name: string;
  readonly address: string;
  readonly server: GrpcServer;
}

/** In each round a pod begins, and the oldest one ends as Kubernetes ends pods, while callers call. */
async function rollingChange(cluster: KubeCluster): Promise<void> {
  const host = outerAddress();
  const pods: Pod[] = [];
  const add = async (name: string): Promise<Pod> => {
    const server = new GrpcServer({ host, port: 0 });
    await server.start();
    const port = server.address?.port;
    const pod = { name, address: `${host}:${port}`, server };
    pods.push(pod);
    await cluster.send("POST", slices, slice(name, [{ addresses: [host] }], port));
    return pod;
  };
  await using transport = dial(
    kubernetesResolver("users.shop:grpc", { server: cluster.url, ca: cluster.ca, token: "reader" }),
  );
  const client = createClient(Health, transport);
  const failures: unknown[] = [];
  let calls = 0;
  let slowestMs = 0;
  let isOver = false;
  const call = async (): Promise<void> => {
    while (!isOver) {
      await client.check({}).catch((error: unknown) => failures.push(error));
      calls++;
      await delay(1);
    }
  };
  try {
    for (const name of ["first", "second", "third"]) await add(name);
    await transport.ready(AbortSignal.timeout(10_000));
    const calling = Array.from({ length: callers }, call);
    for (let round = 0; round < rounds; round++) {
      const startedMs = performance.now();
      const { address } = await add(`round-${round}`);
      while (!transport.stats().endpoints.some((one) => one.address === address && one.state === "ready")) {
        assert.ok(performance.now() - startedMs < 5_000, `${address} is not in use after 5 s`);
        await delay(10);
      }
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      const old = pods.shift() ?? assert.fail();
      const conditions = { ready: false, serving: true, terminating: true };
      const endpoints = [{ addresses: [host], conditions }];
      await cluster.send("PATCH", `${slices}/${old.name}`, { endpoints });
      // The pod is told to end at the same time, and serves on for its drain delay.
      await delay(roundMs);
      await old.server.gracefulStop();
      await cluster.send("DELETE", `${slices}/${old.name}`);
    }
    isOver = true;
    await Promise.all(calling);
  } finally {
    isOver = true;
    for (const { server } of pods) await server.gracefulStop();
  }
  assert.deepEqual(failures, []);
  assert.ok(calls > 1_000, `${calls} calls`);
  console.log(
    `kubernetes: 0 of ${calls} calls lost, a new pod in use after ${slowestMs.toFixed(0)} ms at most`,
  );
}

/** An address of this machine that other machines reach: slices hold no others. @throws Missing if there is none */
function outerAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outer = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (outer === undefined) throw new Missing("this machine has no network");
  return outer.address;
}

/** An EndpointSlice of the service `users`. */
function slice(name: string, endpoints: readonly object[], port = 42_001): object {
  return {
    metadata: { name, labels: { "kubernetes.io/service-name": "users" } },
    addressType: "IPv4",
    endpoints,
    ports: [{ name: "grpc", port, protocol: "TCP" }],
  };
}

/** What a resolver finds. */
class Watched {
  endpoints: readonly Endpoint[] = [];
  updates = 0;
  /** Text of the last failure. */
  problem = "";
  #changed: () => void = () => {};

  constructor(target: string, options: object, signal: AbortSignal) {
    const update = (endpoints: readonly Endpoint[]): void => {
      this.endpoints = endpoints;
      this.updates++;
      this.#changed();
    };
    const failed = ({ rawMessage }: { readonly rawMessage: string }): void => {
      this.problem = rawMessage;
      this.#changed();
    };
    kubernetesResolver(target, options).watch({ update, failed }, signal);
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
