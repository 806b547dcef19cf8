import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Endpoint, Resolver } from "../../../src/core/discovery/resolver.ts";
import { xdsResolver } from "../../../src/core/discovery/xds/xds-resolver.ts";
import {
  assignment,
  cluster,
  FakeControlPlane,
  listener,
  locality,
  pack,
  routesTo,
  type ControlStream,
} from "../../support/fake-control-plane.ts";
import { ResourceSchema } from "../../../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { RouterSchema } from "../../../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A resolver on a clock of its own before a control plane whose streams are answered one by one. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly plane: FakeControlPlane;
  readonly resolver: Resolver;
  readonly failures: string[] = [];
  updates = 0;
  endpoints: readonly Endpoint[] = [];
  readonly #closed = new AbortController();
  #changed: () => void = () => {};

  constructor(plane: FakeControlPlane, name = "users", bootstrap: object = plane.bootstrap) {
    this.plane = plane;
    this.resolver = xdsResolver(name, { bootstrap }, { clock: this.clock, random: () => 0.5 });
    this.resolver.watch(
      {
        update: (endpoints) => {
          this.endpoints = endpoints;
          this.updates++;
          this.#changed();
        },
        failed: ({ rawMessage }) => {
          this.failures.push(rawMessage);
          this.#changed();
        },
      },
      this.#closed.signal,
    );
  }

  /** The ports of the endpoints, each with its weight if that is not 1, in their order. */
  get ports(): string {
    const texts = this.endpoints.map(({ address, weight = 1 }) => {
      return address.replace("127.0.0.1:", "") + (weight === 1 ? "" : `*${Number(weight.toFixed(3))}`);
    });
    return texts.toSorted().join();
  }

  async until(ports: string): Promise<void> {
    while (this.ports !== ports) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  async failure(): Promise<string> {
    for (;;) {
      const text = this.failures.shift();
      if (text !== undefined) return text;
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** Waits until there is a timer that is due within 5 s, and passes the time. @returns it in milliseconds */
  async passPause(): Promise<number> {
    for (let turn = 0; turn < 1_000; turn++) {
      const ms = (this.clock.nextMs ?? Number.POSITIVE_INFINITY) - this.clock.nowMs();
      if (ms <= 5_000) {
        this.clock.advance(ms);
        return Math.round(ms);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return assert.fail("the client does not pause");
  }

  close(): void {
    this.#closed.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.plane[Symbol.asyncDispose]();
  }
}

/** Answers a whole target: a listener, routes to one cluster, and its endpoints; takes the requests. */
async function answer(stream: ControlStream, ...ports: string[]): Promise<void> {
  await stream.take(1);
  stream.reply("l1", [listener("users", "r")]);
  await stream.take(2);
  stream.reply("r1", [routesTo("r", { one: 1 })]);
  await stream.take(2);
  stream.reply("c1", [cluster("one")]);
  await stream.take(2);
  stream.reply("e1", [assignment("one", locality("a", ports, ports.length))]);
  await stream.take(1);
}

test("a listener leads to routes, these to clusters, these to endpoints; each response is ACKed", async () => {
  await using rig = new Rig(await FakeControlPlane.start());
  assert.deepEqual([rig.resolver.name, rig.resolver.authority], ["xds", "users"]);
  const stream = await rig.plane.next();
  const first = await stream.next();
  assert.equal(first.typeUrl, "type.googleapis.com/envoy.config.listener.v3.Listener");
  assert.deepEqual([first.resourceNames, first.versionInfo, first.responseNonce], [["users"], "", ""]);
  assert.deepEqual([first.node?.id, first.node?.cluster, first.node?.locality?.zone], ["test", "tests", "a"]);
  assert.equal(first.node?.userAgentName, "ts-ms");
  stream.reply("l1", [listener("users", "r")]);
  const ack = await stream.next();
  assert.deepEqual([ack.versionInfo, ack.responseNonce, ack.node], ["l1", "n1", undefined]);
  assert.deepEqual(await stream.take(1), ['RouteConfiguration "" r']);
  stream.reply("r1", [routesTo("r", { one: 1 })]);
  assert.deepEqual(await stream.take(2), ['RouteConfiguration "r1" r', 'Cluster "" one']);
  stream.reply("c1", [cluster("one", { edsClusterConfig: edsOf("eds-one") })]);
  assert.deepEqual(await stream.take(2), ['Cluster "c1" one', 'ClusterLoadAssignment "" eds-one']);
  const far = locality("b", ["3"], 1, 1);
  stream.reply("e1", [assignment("eds-one", locality("a", ["1", "2*3"], 8), far)]);
  assert.deepEqual(await stream.take(1), ['ClusterLoadAssignment "e1" eds-one']);
  await rig.until("1*2,2*6,3");
  assert.deepEqual(
    rig.endpoints.map(({ address, zone, priority }) => `${address} ${zone} ${priority}`),
    ["127.0.0.1:1 a 0", "127.0.0.1:2 a 0", "127.0.0.1:3 b 1"],
  );
  assert.deepEqual(rig.failures, []);
});

function edsOf(serviceName: string) {
  return { edsConfig: { configSourceSpecifier: { case: "ads", value: {} } }, serviceName } as const;
}

test("routes may be part of the listener, and resources wrapped", async () => {
  await using rig = new Rig(await FakeControlPlane.start());
  const stream = await rig.plane.next();
  await stream.take(1);
  const match = { pathSpecifier: { case: "prefix", value: "/" } } as const;
  const action = { case: "route", value: { clusterSpecifier: { case: "cluster", value: "one" } } } as const;
  const virtualHosts = [{ name: "v", domains: ["users"], routes: [{ match, action }] }];
  const inner = listener("users", "", { routeSpecifier: { case: "routeConfig", value: { virtualHosts } } });
  const wrapped = pack(ResourceSchema, { name: "users", resource: inner });
  stream.reply("l1", [wrapped], inner.typeUrl);
  assert.deepEqual(await stream.take(2), ['Listener "l1" users', 'Cluster "" one']);
  stream.reply("c1", [cluster("one")]);
  await stream.take(2);
  stream.reply("e1", [assignment("one", locality("a", ["1"]))]);
  await rig.until("1");
});

test("several clusters of a route have their shares of the weights", async () => {
  await using rig = new Rig(await FakeControlPlane.start());
  const stream = await rig.plane.next();
  await stream.take(1);
  stream.reply("l1", [listener("users", "r")]);
  await stream.take(2);
  stream.reply("r1", [routesTo("r", { one: 90, two: 10, off: 0 })]);
  assert.deepEqual(await stream.take(2), ['RouteConfiguration "r1" r', 'Cluster "" one,two']);
  stream.reply("c1", [cluster("one"), cluster("two")]);
  await stream.take(2);
  const shared = locality("b", ["3", "4"]);
  stream.reply("e1", [assignment("one", locality("a", ["1", "2", "3"], 6)), assignment("two", shared)]);
  await rig.until("1*30,2*30,3*35,4*5");
});

test("a cluster that goes is left, another one is used once it is there", async () => {
  await using rig = new Rig(await FakeControlPlane.start());
  const stream = await rig.plane.next();
  await answer(stream, "1");
  await rig.until("1");
  stream.reply("r2", [routesTo("r", { two: 1 })]);
  assert.deepEqual(await stream.take(2), ['RouteConfiguration "r2" r', 'Cluster "c1" one,two']);
  stream.reply("c2", [cluster("one"), cluster("two")]);
  assert.deepEqual(await stream.take(2), ['Cluster "c2" one,two', 'ClusterLoadAssignment "e1" one,two']);
  assert.equal(rig.ports, "1");
  stream.reply("e2", [assignment("two", locality("a", ["2"]))]);
  await rig.until("2");
  const rest = await stream.take(3);
  assert.deepEqual(rest, [
    'ClusterLoadAssignment "e2" one,two',
    'Cluster "c2" two',
    'ClusterLoadAssignment "e2" two',
  ]);
});

test("endpoints that are unhealthy, and localities without weight, are left out; none at all is an empty set", async () => {
  await using rig = new Rig(await FakeControlPlane.start());
  const stream = await rig.plane.next();
  await answer(stream, "1");
  await rig.until("1");
  stream.reply("e2", [assignment("one", locality("a", ["1"]), locality("b", ["2"], 0))]);
  await stream.take(1);
  assert.equal(rig.ports, "1");
  stream.reply("e3", [assignment("one")]);
  await rig.until("");
  assert.deepEqual(await stream.take(1), ['ClusterLoadAssignment "e3" one']);
});

suite("NACK", () => {
  test("K06: one bad cluster among ten is named, the other nine are used", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await stream.take(1);
    stream.reply("l1", [listener("users", "r")]);
    await stream.take(2);
    const names = Array.from({ length: 10 }, (_, index) => `c${index}`);
    stream.reply("r1", [routesTo("r", Object.fromEntries(names.map((name) => [name, 1])))]);
    await stream.take(2);
    const clusters = names.map((name) => (name === "c4" ? cluster(name, { lbPolicy: 5 }) : cluster(name)));
    stream.reply("c1", clusters);
    const [nack, eds] = await stream.take(2);
    assert.equal(nack, `Cluster "" ${names.join()} NACK cluster c4: lb_policy 5 is not supported`);
    const good = names.filter((name) => name !== "c4");
    assert.equal(eds, `ClusterLoadAssignment "" ${good.join()}`);
    stream.reply(
      "e1",
      good.map((name, index) => assignment(name, locality("a", [String(index + 1)]))),
    );
    await rig.until("1,2,3,4,5,6,7,8,9");
    assert.deepEqual(rig.failures, []);
  });

  test("the last good resource stays, and its version is that of further requests", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await answer(stream, "1");
    await rig.until("1");
    stream.reply("e2", [assignment("one", locality("a", ["0"]))]);
    const nack = await stream.next();
    assert.deepEqual([nack.versionInfo, nack.responseNonce, nack.errorDetail?.code], ["e1", "n5", 3]);
    const problem = "the endpoint 127.0.0.1 has no port_value from 1 to 65535";
    assert.equal(nack.errorDetail?.message, `endpoints one: ${problem}`);
    assert.equal(rig.ports, "1");
    stream.reply("e3", [assignment("one", locality("a", ["2"]))]);
    await rig.until("2");
    assert.deepEqual(await stream.take(1), ['ClusterLoadAssignment "e3" one']);
  });

  test("a resource that is not in use is looked at too", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await stream.take(1);
    stream.reply("l1", [listener("users", "r"), listener("other", "")]);
    const [nack] = await stream.take(1);
    assert.equal(nack, 'Listener "" users NACK listener other: rds.route_config_name is empty');
    assert.deepEqual(await stream.take(1), ['RouteConfiguration "" r']);
  });

  test("what has another type, cannot be read, or is of an unknown type", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    const { typeUrl } = await stream.next();
    stream.reply(
      "l1",
      [pack(RouterSchema, {}), { ...listener("users", "r"), value: Uint8Array.of(0xff) }],
      typeUrl,
    );
    assert.match(
      (await stream.take(1))[0] ?? "",
      /NACK listener #1: is of the type type\.googleapis\.com\/envoy\.ext.*; listener #2: /,
    );
    stream.reply("x1", [pack(RouterSchema, {})]);
    const unknown = await stream.next();
    assert.match(unknown.errorDetail?.message ?? "", /^the type .*Router is not known$/);
    assert.deepEqual([unknown.responseNonce, unknown.resourceNames], ["n2", []]);
    stream.reply("l2", [listener("users", "r")]);
    assert.deepEqual(await stream.take(2), ['Listener "l2" users', 'RouteConfiguration "" r']);
  });

  test("before there was a good one the target cannot be called, and its error names the resource", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await stream.take(1);
    stream.reply("l1", [listener("users", "r", { httpFilters: [] })]);
    assert.match((await stream.take(1))[0] ?? "", /NACK listener users: the last filter is not the router/);
    assert.equal(await rig.failure(), "xds: the listener users is bad");
    stream.reply("l2", [listener("users", "r")]);
    assert.deepEqual(await stream.take(2), ['Listener "l2" users', 'RouteConfiguration "" r']);
  });
});

suite("a resource that never comes", () => {
  test("is not there after 15 s; when it comes later it is used", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await stream.take(1);
    rig.clock.advance(14_999);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(rig.failures, []);
    rig.clock.advance(1);
    assert.equal(await rig.failure(), "xds: there is no listener users");
    stream.reply("l1", [listener("users", "r")]);
    await stream.take(2);
    rig.clock.advance(15_000);
    assert.equal(await rig.failure(), "xds: there is no route configuration r");
    stream.reply("r1", [routesTo("r", { one: 1, two: 1 })]);
    await stream.take(2);
    stream.reply("c1", [cluster("one")]);
    await stream.take(2);
    stream.reply("e1", [assignment("one", locality("a", ["1"]))]);
    await stream.take(1);
    assert.equal(rig.updates, 0);
    // The other cluster is waited for, and then left out.
    rig.clock.advance(15_000);
    await rig.until("1");
  });

  test("no virtual host for the name is an error", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await stream.take(1);
    stream.reply("l1", [listener("users", "r")]);
    await stream.take(2);
    stream.reply("r1", [routesTo("r", {}, { virtualHosts: [{ name: "v", domains: ["orders"] }] })]);
    assert.equal(await rig.failure(), "xds: no virtual host is for users");
  });
});

suite("K06: the control plane is gone", () => {
  test("the endpoints stay, pauses grow, and the next stream begins with the versions in use", async () => {
    const plane = await FakeControlPlane.start();
    const { port } = plane;
    const rig = new Rig(plane);
    try {
      await answer(await plane.next(), "1");
      await rig.until("1");
      await plane[Symbol.asyncDispose]();
      const pauses: number[] = [];
      for (let round = 0; round < 5; round++) pauses.push(await rig.passPause());
      assert.deepEqual(pauses, [1_000, 1_000, 1_600, 2_560, 4_096]);
      assert.deepEqual([rig.ports, rig.updates, rig.failures], ["1", 1, []]);
      await using again = await FakeControlPlane.start(port);
      rig.resolver.refresh?.();
      const passing = setInterval(() => rig.clock.advance(1_000), 20);
      const stream = await again.next();
      clearInterval(passing);
      assert.deepEqual(await stream.take(4), [
        'Listener "l1" users',
        'RouteConfiguration "r1" r',
        'Cluster "c1" one',
        'ClusterLoadAssignment "e1" one',
      ]);
      stream.reply("e2", [assignment("one", locality("a", ["2"]))]);
      await rig.until("2");
      rig.close();
    } finally {
      rig.close();
    }
  });

  test("a stream that ends after its responses is opened again after a second, without a failure", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await answer(stream, "1");
    await rig.until("1");
    stream.end();
    assert.equal(await rig.passPause(), 1_000);
    const [first] = await (await rig.plane.next()).take(1);
    assert.equal(first, 'Listener "l1" users');
    assert.deepEqual(rig.failures, []);
  });

  test("from the begin: the target cannot be called, and comes as the control plane does", async () => {
    const { port, ...rest } = await portOf();
    await rest.free();
    const plane = await FakeControlPlane.start();
    const bootstrap = {
      ...plane.bootstrap,
      xds_servers: [{ ...serverOf(plane), server_uri: `127.0.0.1:${port}` }],
    };
    const rig = new Rig(plane, "users", bootstrap);
    await using _ = rig;
    assert.equal(await rig.failure(), "xds: the control plane does not answer");
    await using late = await FakeControlPlane.start(port);
    const passing = setInterval(() => rig.clock.advance(1_000), 20);
    const stream = await late.next();
    clearInterval(passing);
    await answer(stream, "1");
    await rig.until("1");
  });
});

function serverOf(plane: FakeControlPlane): object {
  return (plane.bootstrap as { xds_servers: object[] }).xds_servers[0] ?? {}; // As it is written there.
}

/** A port that was free a moment ago. */
async function portOf() {
  const plane = await FakeControlPlane.start();
  return { port: plane.port, free: () => plane[Symbol.asyncDispose]() };
}

suite("resources that are deleted", () => {
  test("stay in use", async () => {
    await using rig = new Rig(await FakeControlPlane.start());
    const stream = await rig.plane.next();
    await answer(stream, "1");
    await rig.until("1");
    stream.reply("l2", [], "type.googleapis.com/envoy.config.listener.v3.Listener");
    assert.deepEqual(await stream.take(1), ['Listener "l2" users']);
    assert.deepEqual([rig.ports, rig.failures], ["1", []]);
  });

  test("are gone with fail_on_data_errors", async () => {
    const plane = await FakeControlPlane.start();
    const server = { ...serverOf(plane), server_features: ["fail_on_data_errors"] };
    await using rig = new Rig(plane, "users", { ...plane.bootstrap, xds_servers: [server] });
    const stream = await plane.next();
    await answer(stream, "1");
    await rig.until("1");
    stream.reply("l2", [], "type.googleapis.com/envoy.config.listener.v3.Listener");
    assert.equal(await rig.failure(), "xds: there is no listener users");
  });
});

test("two targets of one bootstrap share a stream, which ends with the last of them", async () => {
  await using plane = await FakeControlPlane.start();
  const closed = [new AbortController(), new AbortController()];
  const names = ["users", "orders"];
  for (const [index, name] of names.entries()) {
    const resolver = xdsResolver(`xds:///${name}`, { bootstrap: JSON.stringify(plane.bootstrap) });
    resolver.watch({ update() {}, failed() {} }, closed[index]?.signal ?? assert.fail());
  }
  const stream = await plane.next();
  assert.deepEqual(await stream.take(1), ['Listener "" orders,users']);
  closed[0]?.abort();
  assert.deepEqual(await stream.take(1), ['Listener "" orders']);
  closed[1]?.abort();
});

suite("the bootstrap", () => {
  const servers = [
    { server_uri: "dns:///plane:18000", channel_creds: [{ type: "google_default" }, { type: "insecure" }] },
  ];
  for (const [name, bootstrap, text] of [
    ["no JSON", "{", /: xds: the option bootstrap: /],
    ["no object", "1", /must be an object/],
    ["no server", {}, /xds_servers must have one with server_uri/],
    ["no credentials", { xds_servers: [{ server_uri: "a:1" }] }, /channel_creds must have one of the type/],
    ["a wrong address", { xds_servers: [{ server_uri: "a b:1" }] }, /server_uri: /],
    ["a wrong node", { xds_servers: servers, node: { id: 1 } }, /node: /],
    [
      "a template without the name",
      { xds_servers: servers, client_default_listener_resource_name_template: "x" },
      /must hold %s/,
    ],
    [
      "a file that is not there",
      {
        xds_servers: [
          { server_uri: "a:1", channel_creds: [{ type: "tls", config: { ca_certificate_file: "/x" } }] },
        ],
      },
      /ca_certificate_file: ENOENT/,
    ],
  ] as const) {
    test(`refused: ${name}`, () => assert.throws(() => xdsResolver("users", { bootstrap }), text));
  }

  test("refused: no name", () =>
    assert.throws(() => xdsResolver("xds:///", { bootstrap: {} }), /takes the name/));

  test("is that of the environment, or there is none", () => {
    const names = ["GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG"] as const;
    const before = names.map((name) => process.env[name]);
    try {
      for (const name of names) delete process.env[name];
      assert.throws(
        () => xdsResolver("users"),
        /there is no bootstrap: give the option, or GRPC_XDS_BOOTSTRAP/,
      );
      process.env["GRPC_XDS_BOOTSTRAP_CONFIG"] = JSON.stringify({ xds_servers: servers });
      assert.equal(xdsResolver("users").name, "xds");
      process.env["GRPC_XDS_BOOTSTRAP"] = "/no/such/file";
      assert.throws(() => xdsResolver("users"), /the file of GRPC_XDS_BOOTSTRAP cannot be read/);
    } finally {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
    }
  });

  test("names listeners by its template", async () => {
    const plane = await FakeControlPlane.start();
    const bootstrap = { ...plane.bootstrap, client_default_listener_resource_name_template: "grpc/%s?x" };
    await using _ = new Rig(plane, "users", bootstrap);
    assert.deepEqual(await (await plane.next()).take(1), ['Listener "" grpc/users?x']);
  });
});
