import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RouteSchema } from "../../../gen/envoy/config/route/v3/route_components_pb.ts";
import { HTTPFaultSchema } from "../../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { Cluster_LbPolicy } from "../../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { DialOptions } from "../../../src/core/dial.ts";
import { xdsResolver } from "../../../src/core/discovery/xds/xds-resolver.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import {
  assignment,
  cluster,
  FakeControlPlane,
  listener,
  locality,
  pack,
  router,
  routesTo,
  ServedResources,
} from "../../support/fake-control-plane.ts";
import { all, failure } from "../../support/failure.ts";
import { callsOf, dialSeveral, severalServers, until } from "../../support/several-servers.ts";

type Route = Exclude<MessageInitShape<typeof RouteSchema>, { $typeName: string }>;

/** A route to a cluster. */
function to(name: string, match: object = {}, more: object = {}): Route {
  const value = { clusterSpecifier: { case: "cluster", value: name }, ...more } as const;
  const all = { pathSpecifier: { case: "prefix", value: "" } } as const;
  return { match: { ...all, ...match }, action: { case: "route", value } }; // A shape of it.
}

/** The routes `r`. */
function routes(...list: Route[]) {
  return routesTo("r", {}, { virtualHosts: [{ name: "v", domains: ["*"], routes: list }] });
}

/** Servers, each a cluster of its own by the names `one`, `two`, …, and a client that calls them by their control plane. */
async function mesh(t: TestContext, count: number, options: Partial<DialOptions> = {}) {
  const servers = await severalServers(t, count);
  const plane = await FakeControlPlane.start();
  t.after(() => plane[Symbol.asyncDispose]());
  const names = ["one", "two", "three"].slice(0, count);
  const ports = servers.map(({ address }) => address.split(":")[1] ?? "");
  const clusters = names.map((name) => cluster(name));
  const endpoints = names.map((name, index) => assignment(name, locality("a", [ports[index] ?? ""])));
  const served = new ServedResources(
    plane,
    listener("users", "r"),
    routes(to("one")),
    ...clusters,
    ...endpoints,
  );
  const { client, transport } = dialSeveral(t, xdsResolver("users", { bootstrap: plane.bootstrap }), options);
  return { servers, served, clusters, endpoints, ports, client, transport };
}

suite("routes", () => {
  test("lead calls by path, headers and shares to their clusters", async (t) => {
    const { served, servers, clusters, endpoints, client } = await mesh(t, 3);
    const header = {
      headers: [{ name: "x-beta", headerMatchSpecifier: { case: "exactMatch", value: "1" } }],
    } as const;
    const repeat = { pathSpecifier: { case: "path", value: "/tsms.test.v1.EchoService/Repeat" } } as const;
    const never = { runtimeFraction: { defaultValue: { numerator: 0 } } } as const;
    served.set(
      listener("users", "r"),
      routes(to("three", never), to("two", header), to("three", repeat), to("one")),
      ...clusters,
      ...endpoints,
    );
    for (let call = 0; call < 10; call++) await client.echo({});
    for (let call = 0; call < 5; call++) await client.echo({}, { headers: { "x-beta": "1" } });
    for await (const _ of client.repeat({ count: 2 }));
    assert.deepEqual(callsOf(servers), [10, 5, 1]);
  });

  test("split calls by weights, which may change", async (t) => {
    const { served, servers, clusters, endpoints, client, transport } = await mesh(t, 2);
    const serve = (one: number, two: number): void =>
      served.set(listener("users", "r"), routesTo("r", { one, two }), ...clusters, ...endpoints);
    serve(80, 20);
    await transport.ready();
    const calls = 2_000;
    const call = async (): Promise<void> => {
      for (let count = 0; count < calls / 20; count++) await client.echo({});
    };
    await Promise.all(Array.from({ length: 20 }, call));
    const share = (callsOf(servers)[1] ?? 0) / calls;
    assert.ok(share > 0.195 && share < 0.205, `${share}`);
    const before = callsOf(servers)[0] ?? 0;
    serve(0, 100);
    while ((callsOf(servers)[1] ?? 0) < 3 * calls) {
      const [one] = callsOf(servers);
      await client.echo({});
      if (one === before) break;
    }
    const [one = 0] = callsOf(servers);
    for (let count = 0; count < 20; count++) await client.echo({});
    assert.equal(callsOf(servers)[0], one);
  });

  test("no route for a call, and a route without a cluster, are UNAVAILABLE", async (t) => {
    const { served, clusters, endpoints, client } = await mesh(t, 1);
    const repeat = { pathSpecifier: { case: "prefix", value: "/tsms.test.v1.EchoService/Repeat" } } as const;
    const redirected: Route = {
      match: { pathSpecifier: { case: "prefix", value: "/tsms.test.v1.EchoService/Coll" } },
    };
    served.set(listener("users", "r"), routes(to("one", repeat), redirected), ...clusters, ...endpoints);
    for (const error of [
      await failure(client.echo({})),
      await failure(client.collect((async function* () {})())),
    ]) {
      assert.equal(error.code, Code.Unavailable);
      assert.equal(error.rawMessage, "users: no route is for this call");
    }
  });

  test("K06: a bad cluster fails the calls that lead to it, and no others", async (t) => {
    const { served, endpoints, client } = await mesh(t, 2);
    const bad = cluster("two", { lbPolicy: Cluster_LbPolicy.MAGLEV });
    const header = {
      headers: [{ name: "x-two", headerMatchSpecifier: { case: "presentMatch", value: true } }],
    } as const;
    served.set(
      listener("users", "r"),
      routes(to("two", header), to("one")),
      cluster("one"),
      bad,
      ...endpoints,
    );
    await client.echo({});
    const error = await failure(client.echo({}, { headers: { "x-two": "" } }));
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.Unavailable, "users: xds: the cluster two is bad"],
    );
  });

  test("a target that the control plane does not have cannot be called", async (t) => {
    const plane = await FakeControlPlane.start();
    t.after(() => plane[Symbol.asyncDispose]());
    const noListener = listener("users", "r", { httpFilters: [] });
    void new ServedResources(plane, noListener);
    const { client, transport } = dialSeveral(t, xdsResolver("users", { bootstrap: plane.bootstrap }));
    const error = await failure(client.echo({}));
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.Unavailable, "users: no endpoint (xds: the listener users is bad)"],
    );
    assert.equal(transport.state, "transient-failure");
  });
});

suite("clusters", () => {
  test("that routes no longer name end with their last call", async (t) => {
    const { served, servers, clusters, endpoints, client, transport } = await mesh(t, 2);
    const slow = client.echo({ behaviour: { sleepMs: 300 } });
    await until(transport, () => transport.endpoints.length === 1);
    served.set(listener("users", "r"), routes(to("two")), ...clusters, ...endpoints);
    await until(transport, () => transport.endpoints[0]?.address === servers[1]?.address);
    await client.echo({});
    await slow;
    assert.deepEqual(callsOf(servers), [1, 1]);
  });

  test("limit their calls under way", async (t) => {
    const { served, servers, endpoints, client } = await mesh(t, 1);
    const circuitBreakers = { thresholds: [{ maxRequests: 2 }] };
    served.set(listener("users", "r"), routes(to("one")), cluster("one", { circuitBreakers }), ...endpoints);
    const slow = [0, 1].map(() => client.echo({ behaviour: { sleepMs: 200 } }));
    const error = await failure(client.echo({}));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "users: 2 calls under way"]);
    await Promise.all(slow);
    await client.echo({});
    assert.deepEqual(callsOf(servers), [3]);
  });

  test("drop shares of their calls", async (t) => {
    const { served, servers, clusters, ports, client } = await mesh(t, 1);
    const dropped = (numerator: number) =>
      pack(ClusterLoadAssignmentSchema, {
        clusterName: "one",
        endpoints: [locality("a", [ports[0] ?? ""])],
        policy: { dropOverloads: [{ category: "lb", dropPercentage: { numerator } }] },
      });
    served.set(listener("users", "r"), routes(to("one")), ...clusters, dropped(100));
    const error = await failure(client.echo({}));
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.Unavailable, "users: dropped, as the control plane says"],
    );
    assert.deepEqual(callsOf(servers), [0]);
  });

  test("choose by the hash of a header where the control plane says so", async (t) => {
    const servers = await severalServers(t, 3);
    const plane = await FakeControlPlane.start();
    t.after(() => plane[Symbol.asyncDispose]());
    const hash = { policySpecifier: { case: "header", value: { headerName: "x-user" } } } as const;
    const ports = servers.map(({ address }) => address.split(":")[1] ?? "");
    void new ServedResources(
      plane,
      listener("users", "r"),
      routes(to("one", {}, { hashPolicy: [hash] })),
      cluster("one", { lbPolicy: Cluster_LbPolicy.RING_HASH }),
      assignment("one", locality("a", ports)),
    );
    const { client, transport } = dialSeveral(t, xdsResolver("users", { bootstrap: plane.bootstrap }));
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    for (let call = 0; call < 20; call++) await client.echo({}, { headers: { "x-user": "ann" } });
    assert.deepEqual(
      callsOf(servers).toSorted((one, other) => one - other),
      [0, 0, 20],
    );
  });
});

suite("times", () => {
  test("a route has the longest time of its calls, else the listener", async (t) => {
    const { served, clusters, endpoints, client } = await mesh(t, 1);
    const ms = (nanos: number) => ({ maxStreamDuration: { maxStreamDuration: { seconds: 0n, nanos } } });
    const header = {
      headers: [{ name: "x-long", headerMatchSpecifier: { case: "presentMatch", value: true } }],
    } as const;
    const short = { commonHttpProtocolOptions: { maxStreamDuration: { seconds: 0n, nanos: 500_000_000 } } };
    served.set(
      listener("users", "r", short),
      routes(to("one", header, ms(0)), to("one")),
      ...clusters,
      ...endpoints,
    );
    // The first call of a process loads and compiles for long.
    await client.echo({ behaviour: { sleepMs: 600 } }, { headers: { "x-long": "" } });
    await client.echo({});
    const error = await failure(client.echo({ behaviour: { sleepMs: 60_000 } }));
    assert.equal(error.code, Code.DeadlineExceeded);
  });
});

suite("retries", () => {
  test("are those of the first route of the path, for rpcs of any kind", async (t) => {
    const { served, servers, clusters, endpoints, client } = await mesh(t, 1);
    const baseInterval = { seconds: 0n, nanos: 1_000_000 };
    const retryPolicy = { retryOn: "internal", numRetries: 3, retryBackOff: { baseInterval } };
    const echo = { pathSpecifier: { case: "path", value: "/tsms.test.v1.EchoService/Echo" } } as const;
    served.set(
      listener("users", "r"),
      routes(to("one", echo, { retryPolicy }), to("one")),
      ...clusters,
      ...endpoints,
    );
    const internal = { behaviour: { failure: { code: Code.Internal } } };
    assert.equal((await failure(client.echo(internal))).code, Code.Internal);
    assert.deepEqual(callsOf(servers), [4]);
    await failure(all(client.repeat(internal)));
    assert.deepEqual(callsOf(servers), [5]);
  });
});

suite("faults", () => {
  const always = { percentage: { numerator: 100 } };
  const delayed = (seconds: bigint, nanos: number) =>
    ({ faultDelaySecifier: { case: "fixedDelay", value: { seconds, nanos } }, ...always }) as const;

  /** A mesh of one server whose calls have a fault. */
  async function faulty(t: TestContext, fault: MessageInitShape<typeof HTTPFaultSchema>) {
    const one = await mesh(t, 1);
    const filter = {
      name: "fault",
      configType: { case: "typedConfig", value: pack(HTTPFaultSchema, fault) },
    } as const;
    const filtered = listener("users", "r", { httpFilters: [filter, router] });
    one.served.set(filtered, routes(to("one")), ...one.clusters, ...one.endpoints);
    return one;
  }

  test("end calls with an error, before anything is sent", async (t) => {
    const abort = { errorType: { case: "httpStatus", value: 429 }, ...always } as const;
    const { servers, client } = await faulty(t, { abort });
    const error = await failure(client.echo({}));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "a fault was injected"]);
    assert.deepEqual(callsOf(servers), [0]);
  });

  test("delay calls", async (t) => {
    const { client } = await faulty(t, { delay: delayed(0n, 50_000_000) });
    const startedMs = performance.now();
    await client.echo({});
    assert.ok(performance.now() - startedMs >= 45);
  });

  test("that delay end with the call, and are no more than their limit", async (t) => {
    const { servers, client } = await faulty(t, { delay: delayed(100n, 0), maxActiveFaults: 1 });
    const late = await failure(client.echo({}, { timeoutMs: 1_000 }));
    assert.equal(late.code, Code.DeadlineExceeded);
    const cancelled = new AbortController();
    const waiting = failure(client.echo({}, { signal: cancelled.signal }));
    await client.echo({});
    assert.deepEqual(callsOf(servers), [1]);
    cancelled.abort();
    assert.equal((await waiting).code, Code.Canceled);
    assert.equal((await failure(client.echo({}, { timeoutMs: 50 }))).code, Code.DeadlineExceeded);
    assert.deepEqual(callsOf(servers), [1]);
  });
});
