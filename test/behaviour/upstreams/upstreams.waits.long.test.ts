import assert from "node:assert/strict";
import { once } from "node:events";
import { suite, test, type TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { service as serviceOf } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import type { CatalogEntry, CatalogListener } from "../../../src/core/discovery/catalog.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { reflectionSource } from "../../../src/core/schema/reflection-source.ts";
import type { TrafficRule } from "../../../src/core/traffic/traffic-rule.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Upstreams } from "../../../src/gateway/upstreams/upstreams.ts";
import type { UpstreamInit, UpstreamsOptions } from "../../../src/gateway/upstreams/upstreams-options.ts";
import { madeContract, type MadeContract } from "../../support/made-contracts.ts";
import { Echo } from "../../support/echo-service.ts";

/** A server of a made contract, whose rpcs answer with its name. */
async function madeServer(
  t: TestContext,
  contract: MadeContract,
  port = 0,
  answer = contract.service.typeName,
) {
  const rpcs = contract.service.methods.map((rpc) => [
    rpc.localName,
    ({ name }: { name: string }) => ({ name, text: answer }),
  ]);
  const server = new GrpcServer({ port, logger: false });
  server.addService(serviceOf<DescService>(contract.service, Object.fromEntries(rpcs) as object));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { server, address: `127.0.0.1:${server.address?.port}` };
}

interface Edge {
  readonly upstreams: Upstreams;
  readonly http: HttpServer;
  readonly url: string;
  readonly warnings: string[];
  get(path: string): Promise<[number, string]>;
  /** Resolves as soon as a request is answered with that status. */
  until(path: string, status: number, withinMs?: number): Promise<string>;
}

/** A gateway in front of upstreams. */
async function edge(
  t: TestContext,
  inits: Readonly<Record<string, UpstreamInit>>,
  options: Partial<UpstreamsOptions> = {},
  { grpc, ...more }: Partial<Omit<HttpServerOptions, "grpc">> & { readonly grpc?: GrpcServer } = {},
): Promise<Edge> {
  const warnings: string[] = [];
  const logger = { warn: (_: unknown, text: string) => void warnings.push(text) };
  const upstreams = new Upstreams(inits, { logger, ...options });
  const own = { port: 0, upstream: upstreams, awaitServices: true, logger: false as const };
  const http = new HttpServer({ ...own, ...more, ...(grpc && { grpc }) });
  const served = upstreams.serve(http, grpc);
  await grpc?.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc?.gracefulStop({ graceMs: 0 });
    await served;
  });
  const url = `http://127.0.0.1:${http.address?.port}`;
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(url + path);
    return [response.status, await response.text()];
  };
  return {
    upstreams,
    http,
    url,
    warnings,
    get,
    async until(path, status, withinMs = 10_000) {
      const endMs = performance.now() + withinMs;
      for (;;) {
        const [found, text] = await get(path);
        if (found === status) return text;
        if (performance.now() > endMs) assert.fail(`${path}: ${found} ${text}, not ${status}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** A catalog that a test answers for. */
class ScriptedCatalog {
  readonly name = "script";
  readonly #watched = Promise.withResolvers<CatalogListener>();

  watch(listener: CatalogListener): void {
    this.#watched.resolve(listener);
  }

  async update(...entries: readonly CatalogEntry[]): Promise<void> {
    (await this.#watched.promise).update(entries);
  }

  async failed(text: string): Promise<void> {
    (await this.#watched.promise).failed(new ConnectError(text, Code.Unavailable));
  }
}

suite("several upstreams", () => {
  test("each call goes to the upstream that has its service", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const [one, two] = [await madeServer(t, users), await madeServer(t, orders)];
    const gateway = await edge(t, {
      users: { target: one.address },
      orders: { target: [two.address], services: [orders.service] },
    });
    assert.match(await gateway.until("/users.v1/get0/ada", 200), /"name":"ada","text":"users.v1.Made"/);
    assert.match(await gateway.until("/orders.v1/get0/1", 200), /orders.v1.Made/);
    assert.equal((await gateway.get("/nothing"))[0], 404);
    const { owners, refused, upstreams } = gateway.upstreams.stats();
    assert.deepEqual(owners, { "users.v1.Made": "users", "orders.v1.Made": "orders" });
    assert.deepEqual(refused, []);
    assert.deepEqual(
      upstreams.map(({ name, target, state }) => [name, target, state]),
      [
        ["users", one.address, "ready"],
        ["orders", two.address, "ready"],
      ],
    );
    assert.ok(gateway.http.describe().includes(`[UPSTREAMS] users → ${one.address}: 1 service`));
  });

  test("a typed client uses it as a transport, before and after contracts are loaded", async (t) => {
    const echo = new Echo();
    const server = new GrpcServer({ port: 0, logger: false }).addService(echo);
    await server.start();
    const upstreams = new Upstreams(
      { echo: { target: `127.0.0.1:${server.address?.port}` } },
      { logger: false },
    );
    t.after(async () => {
      upstreams.close();
      await server.gracefulStop({ graceMs: 0 });
    });
    const client = createClient(EchoService, upstreams);
    const early = await client.echo({}).catch((reason: unknown) => ConnectError.from(reason));
    assert.equal(early instanceof ConnectError && early.code, Code.Unavailable);
    await upstreams.ready(AbortSignal.timeout(10_000));
    assert.equal((await client.echo({ text: "a" })).text, "a");
    const texts: string[] = [];
    for await (const { text } of client.repeat({ text: "b", count: 3 })) texts.push(text);
    assert.deepEqual(texts, ["b", "b", "b"]);
    upstreams.close();
    await assert.rejects(client.echo({}), { code: Code.Unavailable, rawMessage: "the upstreams are closed" });
  });

  test("a server of this process and a transport are upstreams too, also for calls as bytes", async (t) => {
    const [inside, given] = [madeContract("inside.v1"), madeContract("given.v1")];
    const [one, two] = [await madeServer(t, inside), await madeServer(t, given)];
    const transport = dial(two.address);
    t.after(() => transport.close());
    const gateway = await edge(t, {
      inside: { target: one.server, services: [inside.service] },
      given: { transport },
    });
    assert.match(await gateway.until("/inside.v1/get0/a", 200), /inside.v1.Made/);
    assert.match(await gateway.until("/given.v1/get0/b", 200), /given.v1.Made/);
  });

  test("what is wrong is refused by name", () => {
    const contract = madeContract("wrong.v1");
    const cases: readonly [Record<string, unknown>, RegExp][] = [
      [{ a: {} }, /"a" needs a target or a transport/],
      [{ a: { target: "a:1", transport: dial("a:1") } }, /"a" needs a target or a transport, and not both/],
      [{ a: { target: "a:1", contract: "sources" } }, /"a" has a contract that is none/],
      [{ a: { target: "a:1", contract: { sameAs: "b" } } }, /contracts of "b", which is no other upstream/],
      [
        { a: { target: "a:1", services: [contract.service], contract: "reflection" } },
        /contract or services/,
      ],
      [{ a: { target: "a:1", services: [contract.service], only: ["b"] } }, /no service b/],
      [{ a: { target: "a:1", only: "b" } }, /only that is no list/],
      [{ a: { target: "a:1", balanse: "p2c" } }, /no option "balanse"; did you mean balance\?/],
      [{ a: { target: "" } }, /target/],
      [{ "": { target: "a:1" } }, /needs a name/],
    ];
    for (const [inits, text] of cases) {
      assert.throws(() => new Upstreams(inits as Record<string, UpstreamInit>), text);
    }
    assert.throws(
      () => new Upstreams({}, { catalogue: 1 } as object),
      /no option "catalogue"; did you mean catalog\?/,
    );
    assert.throws(() => new Upstreams({}, { catalog: {} as never }), /catalog must be a catalog/);
    const upstreams = new Upstreams({ a: { target: "a:1" } });
    assert.throws(() => upstreams.add("a", { target: "b:1" }), /there is an upstream "a" already/);
    upstreams.close();
  });
});

suite("whose trouble is whose", () => {
  test("an upstream that is away is 503 for its own calls, and only for them", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const [one, two] = [await madeServer(t, users), await madeServer(t, orders)];
    const gateway = await edge(t, { users: { target: one.address }, orders: { target: two.address } });
    await gateway.until("/users.v1/get0/a", 200);
    await gateway.until("/orders.v1/get0/a", 200);
    await two.server.gracefulStop({ graceMs: 0 });
    const [status, body] = await gateway.get("/orders.v1/get0/a");
    assert.equal(status, 503);
    assert.doesNotMatch(body, /127\.0\.0\.1/);
    assert.equal((await gateway.get("/users.v1/get0/a"))[0], 200);
  });

  test("/readyz needs every required upstream, ?service= asks the one that has it", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const one = await madeServer(t, users);
    const gateway = await edge(t, {
      users: { target: one.address },
      orders: { target: "127.0.0.1:1", services: [orders.service] },
      extra: { target: "127.0.0.1:1", required: false },
    });
    await gateway.until("/users.v1/get0/a", 200);
    assert.deepEqual(await gateway.get("/readyz"), [503, '{"status":"NOT_SERVING"}']);
    assert.deepEqual(await gateway.get("/livez"), [200, '{"status":"SERVING"}']);
    assert.equal((await gateway.get("/readyz?service=users.v1.Made"))[0], 200);
    assert.equal((await gateway.get("/readyz?service=orders.v1.Made"))[0], 503);
    assert.equal((await gateway.get("/readyz?service=no.Such"))[0], 404);
    one.server.health.setStatus("users.v1.Made", "NOT_SERVING");
    assert.equal((await gateway.get("/readyz?service=users.v1.Made"))[0], 503);
    assert.equal(gateway.upstreams.remove("orders"), true);
    assert.equal(gateway.upstreams.remove("orders"), false);
    assert.deepEqual(await gateway.get("/readyz"), [200, '{"status":"SERVING"}']);
    await one.server.gracefulStop({ graceMs: 0 });
    await gateway.until("/readyz", 503);
  });

  test("contracts of one upstream come late, those of others are served before", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const one = await madeServer(t, users);
    const placeholder = await madeServer(t, madeContract("placeholder.v1"));
    const { port } = placeholder.server.address ?? assert.fail("no address");
    await placeholder.server.gracefulStop({ graceMs: 0 });
    const gateway = await edge(t, {
      users: { target: one.address },
      orders: { target: `127.0.0.1:${port}` },
    });
    await gateway.until("/users.v1/get0/a", 200);
    assert.equal((await gateway.get("/orders.v1/get0/a"))[0], 404);
    assert.equal((await gateway.get("/readyz"))[0], 503);
    await madeServer(t, orders, port);
    await gateway.until("/orders.v1/get0/a", 200);
    assert.equal((await gateway.get("/readyz"))[0], 200);
    assert.ok(gateway.warnings.includes("no contracts yet"));
  });
});

suite("services that come and go", () => {
  test("calls in flight end by themselves, then the service is 404", async (t) => {
    const echo = new Echo();
    const server = new GrpcServer({ port: 0, logger: false }).addService(echo);
    await server.start();
    t.after(() => server.gracefulStop({ graceMs: 0 }));
    const gateway = await edge(t, { echo: { target: `127.0.0.1:${server.address?.port}` } });
    await gateway.until("/test/v1/echo/hello", 200);
    const before = echo.calls;
    const body = JSON.stringify({ text: "late", behaviour: { sleepMs: 1_000 } });
    const headers = { "content-type": "application/json" };
    const running = fetch(`${gateway.url}/test/v1/echo`, { method: "POST", body, headers });
    await echo.until(({ calls }) => calls > before);
    gateway.upstreams.remove("echo");
    await gateway.until("/test/v1/echo/hello", 404);
    assert.equal(echo.aborted, 0);
    const reply = await running;
    assert.equal(reply.status, 200);
    assert.match(await reply.text(), /"text":"late"/);
  });

  test("an upstream whose contract is another one after a restart serves that", async (t) => {
    const first = await madeServer(t, madeContract("first.v1"));
    const { port } = first.server.address ?? assert.fail("no address");
    const gateway = await edge(t, { some: { target: first.address } });
    await gateway.until("/first.v1/get0/a", 200);
    await first.server.gracefulStop({ graceMs: 0 });
    await madeServer(t, madeContract("second.v1"), port);
    await gateway.until("/second.v1/get0/a", 200);
    await gateway.until("/first.v1/get0/a", 404);
  });

  test("a catalog brings upstreams, which go staleMs after they have left it", async (t) => {
    const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
    const [one, two] = [await madeServer(t, users), await madeServer(t, orders)];
    const catalog = new ScriptedCatalog();
    const gateway = await edge(t, {}, { catalog, staleMs: 700 });
    assert.equal((await gateway.get("/readyz"))[0], 503);
    await catalog.update({ name: "users", target: one.address });
    await gateway.until("/users.v1/get0/a", 200, 5_000);
    assert.equal((await gateway.get("/readyz"))[0], 200);
    const startedMs = performance.now();
    await catalog.update({ name: "users", target: one.address }, { name: "orders", target: two.address });
    await gateway.until("/orders.v1/get0/a", 200, 5_000);
    assert.ok(performance.now() - startedMs < 5_000);
    await catalog.update({ name: "users", target: one.address });
    assert.equal((await gateway.get("/orders.v1/get0/a"))[0], 200);
    await catalog.update({ name: "users", target: one.address }, { name: "orders", target: two.address }); // Back again.
    await catalog.failed("the catalog is away");
    await catalog.update({ name: "users", target: one.address });
    const leftMs = performance.now();
    assert.equal((await gateway.get("/orders.v1/get0/a"))[0], 200);
    await gateway.until("/orders.v1/get0/a", 404);
    assert.ok(performance.now() - leftMs >= 650);
    assert.equal((await gateway.get("/users.v1/get0/a"))[0], 200);
    assert.ok(gateway.warnings.includes("the catalog cannot be read: the catalog is away"));
  });

  test("D17: an entry of the catalog that is another target now is replaced without a gap", async (t) => {
    const contract = madeContract("users.v1");
    const old = await madeServer(t, contract, 0, "old");
    const young = await madeServer(t, contract, 0, "young");
    const catalog = new ScriptedCatalog();
    const gateway = await edge(t, {}, { catalog });
    await catalog.update({ name: "users", target: old.address });
    assert.match(await gateway.until("/users.v1/get0/a", 200), /old/);
    await catalog.update({ name: "users", target: young.address });
    for (;;) {
      const [status, text] = await gateway.get("/users.v1/get0/a");
      assert.equal(status, 200);
      if (text.includes("young")) break;
    }
    await catalog.update({ name: "users", target: "no target" });
    assert.match((await gateway.get("/users.v1/get0/a"))[1], /young/);
    assert.ok(gateway.warnings.some((text) => text.includes("no target")));
  });
});

suite("clashes", () => {
  test("of two upstreams with one service the first serves it, and the second when the first has gone", async (t) => {
    const contract = madeContract("users.v1");
    const [one, two] = [await madeServer(t, contract, 0, "one"), await madeServer(t, contract, 0, "two")];
    const gateway = await edge(t, { one: { target: one.address }, two: { target: two.address } });
    await gateway.upstreams.ready(AbortSignal.timeout(10_000));
    const served = await gateway.until("/users.v1/get0/a", 200);
    const [winner, loser] = served.includes("one") ? ["one", "two"] : ["two", "one"];
    const line = `${loser}: users.v1.Made is left out: ${winner} had it first`;
    assert.ok(gateway.warnings.includes(line), gateway.warnings.join("\n"));
    assert.ok(gateway.http.describe().includes(`[UPSTREAMS] ${line}`));
    assert.deepEqual(
      gateway.upstreams.stats().refused.map(({ upstream, service, reason }) => [upstream, service, reason]),
      [[loser, "users.v1.Made", "service"]],
    );
    gateway.upstreams.remove(winner ?? "");
    for (;;) {
      const [status, text] = await gateway.get("/users.v1/get0/a");
      assert.equal(status, 200);
      if (text.includes(loser ?? "?")) break;
    }
    assert.deepEqual(gateway.upstreams.stats().refused, []);
  });

  test("a service with routes of another one is left out whole, its neighbours are served", async (t) => {
    const [first, second] = [madeContract("first.v1", 1, "same"), madeContract("second.v1", 2, "same")];
    const third = madeContract("third.v1");
    const [one, two] = [await madeServer(t, first), await madeServer(t, second)];
    const three = await madeServer(t, third);
    const gateway = await edge(t, {
      one: { target: one.address, services: [first.service] },
      two: { target: two.address, services: [second.service] },
      three: { target: three.address, services: [third.service] },
    });
    assert.match(await gateway.until("/same/get0/a", 200), /first.v1/);
    assert.equal((await gateway.get("/same/get1/a"))[0], 404);
    assert.match(await gateway.until("/third.v1/get0/a", 200), /third.v1/);
    const [refused] = gateway.upstreams.stats().refused;
    assert.deepEqual([refused?.upstream, refused?.reason], ["two", "routes"]);
    assert.match(refused?.text ?? "", /match the same requests/);
    const page = await new Metrics({ processMetrics: false }).page();
    assert.match(page, /^ts_ms_upstream_refused_total\{upstream="two",reason="routes"\} 1$/m);
    gateway.upstreams.remove("one");
    assert.match(await gateway.until("/same/get1/a", 200), /second.v1/);
    assert.match(await gateway.until("/same/get0/a", 200), /second.v1/);
  });

  test("sameAs has the contracts of the other one, and serves nothing beside it", async (t) => {
    const contract = madeContract("users.v1");
    const [one, two] = [await madeServer(t, contract, 0, "one"), await madeServer(t, contract, 0, "two")];
    const gateway = await edge(t, {
      users: { target: one.address },
      "users-v2": { target: two.address, contract: { sameAs: "users" } },
    });
    assert.match(await gateway.until("/users.v1/get0/a", 200), /one/);
    const v2 = gateway.upstreams.stats().upstreams.find(({ name }) => name === "users-v2");
    assert.deepEqual(v2?.services, ["users.v1.Made"]);
    assert.equal((await gateway.get("/readyz"))[0], 200);
  });
});

test("gRPC callers reach all upstreams on one port, and reflection there lists all of them", async (t) => {
  const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
  const [one, two] = [await madeServer(t, users), await madeServer(t, orders)];
  const grpc = new GrpcServer({ listen: false, logger: false });
  const gateway = await edge(
    t,
    { users: { target: one.address }, orders: { target: two.address } },
    {},
    { grpc },
  );
  await gateway.until("/users.v1/get0/a", 200);
  await gateway.until("/orders.v1/get0/a", 200);
  const transport = dial(gateway.url.slice("http://".length));
  t.after(() => transport.close());
  const listed = await reflectionSource(transport).load(AbortSignal.timeout(10_000));
  assert.deepEqual(listed.services.map(({ typeName }) => typeName).toSorted(), [
    "orders.v1.Made",
    "users.v1.Made",
  ]);
  for (const service of listed.services) {
    const client = createClient(service, transport) as Record<
      string,
      (request: object) => Promise<{ text: string }>
    >;
    assert.equal((await client["get0"]?.({ name: "a" }))?.text, service.typeName);
  }
  gateway.upstreams.remove("orders");
  await gateway.until("/orders.v1/get0/a", 404);
  const left = await reflectionSource(transport).load(AbortSignal.timeout(10_000));
  assert.deepEqual(
    left.services.map(({ typeName }) => typeName),
    ["users.v1.Made"],
  );
});

test("policies of all upstreams are those of their rpcs", async (t) => {
  const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
  const [one, two] = [await madeServer(t, users), await madeServer(t, orders)];
  const hang = { get0: (_: object, { signal }: HandlerContext) => once(signal, "abort") };
  two.server.removeService(orders.service);
  two.server.addService(serviceOf<DescService>(orders.service, hang as object));
  const gateway = await edge(
    t,
    {
      users: { target: one.address, services: [users.service] },
      orders: { target: two.address, services: [orders.service] },
    },
    { policies: [{ selector: "orders.v1.*", timeoutMs: 200 }] },
  );
  await gateway.until("/users.v1/get0/a", 200);
  assert.equal((await gateway.get("/orders.v1/get0/a"))[0], 504);
});

suite("traffic rules", () => {
  test("calls are divided between an upstream and one with the same contracts, from one call to the next", async (t) => {
    const contract = madeContract("users.v1");
    const [one, two] = [await madeServer(t, contract, 0, "one"), await madeServer(t, contract, 0, "two")];
    const selector = "users.v1.*";
    const rule = (v1: number, v2: number): TrafficRule => ({
      selector,
      split: [
        { to: "users", weight: v1 },
        { to: "users-v2", weight: v2 },
      ],
      when: [{ header: "x-canary", is: "always", to: "users-v2" }],
    });
    const inits = {
      users: { target: one.address },
      "users-v2": { target: two.address, contract: { sameAs: "users" } },
    };
    const gateway = await edge(t, inits, { traffic: [rule(100, 0)] });
    assert.match(await gateway.until("/users.v1/get0/a", 200), /one/);
    assert.deepEqual(gateway.upstreams.stats().refused, []); // The rule names both.
    const canary = await fetch(`${gateway.url}/users.v1/get0/a`, { headers: { "x-canary": "always" } });
    assert.match(await canary.text(), /two/);
    const several = async (): Promise<Set<string>> => {
      const texts = await Promise.all(Array.from({ length: 40 }, () => gateway.get("/users.v1/get0/a")));
      return new Set(texts.map(([status, text]) => `${status} ${/"text":"(\w+)"/.exec(text)?.[1]}`));
    };
    assert.deepEqual(await several(), new Set(["200 one"]));
    await gateway.upstreams.setTraffic([rule(0, 100)]);
    assert.deepEqual(await several(), new Set(["200 two"]));
    await assert.rejects(gateway.upstreams.setTraffic([{ selector, split: [{ to: "user", weight: 1 }] }]), {
      name: "TypeError",
      message: /there is no upstream .user.*did you mean users/,
    });
    assert.deepEqual(await several(), new Set(["200 two"]));
    await gateway.upstreams.setTraffic([{ selector, faults: [{ percent: 100, abort: Code.Aborted }] }]);
    assert.equal((await gateway.get("/users.v1/get0/a"))[0], 409);
    await gateway.upstreams.setTraffic([]);
    assert.deepEqual(await several(), new Set(["200 one"]));
    assert.equal(gateway.upstreams.stats().refused[0]?.reason, "service");
  });

  test("wrong rules of the option reject serve()", async () => {
    const upstreams = new Upstreams(
      { users: { target: "users:1" } },
      { traffic: [{ selector: "*", split: [{ to: "orders", weight: 1 }] }] },
    );
    const http = new HttpServer({ port: 0, upstream: upstreams, awaitServices: true });
    await assert.rejects(upstreams.serve(http), /there is no upstream .orders/);
    upstreams.close();
  });

  test("rules may name upstreams of a catalog before it has them", async (t) => {
    const contract = madeContract("users.v1");
    const [one, two] = [await madeServer(t, contract, 0, "one"), await madeServer(t, contract, 0, "two")];
    const catalog = new ScriptedCatalog();
    const split = [
      { to: "canary", weight: 100 },
      { to: "users", weight: 0 },
    ];
    const when = [{ header: "x-old", present: true, to: "users" }] as const;
    const traffic = [{ selector: "users.v1.*", split, when, fallback: false }];
    const gateway = await edge(t, { users: { target: one.address } }, { catalog, traffic });
    await catalog.update();
    await gateway.until("/users.v1/get0/a", 503);
    await catalog.update({ name: "canary", target: two.address, contract: { sameAs: "users" } });
    assert.match(await gateway.until("/users.v1/get0/a", 200), /two/);
    const old = await fetch(`${gateway.url}/users.v1/get0/a`, { headers: { "x-old": "1" } });
    assert.match(await old.text(), /one/);
  });
});
