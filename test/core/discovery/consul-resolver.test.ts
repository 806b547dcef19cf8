import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  consulResolver,
  type ConsulResolverOptions,
} from "../../../src/core/discovery/consul/consul-resolver.ts";
import type { Endpoint } from "../../../src/core/discovery/resolver.ts";
import type { ConnectError } from "../../../src/core/errors/errors.ts";
import { FakeConsul, instance } from "../../support/fake-consul.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A resolver on a clock of its own before an agent whose calls are answered one by one. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly agent: FakeConsul;
  readonly updates: (readonly Endpoint[])[] = [];
  readonly failures: ConnectError[] = [];
  readonly #closed = new AbortController();

  constructor(agent: FakeConsul, options: ConsulResolverOptions = {}) {
    this.agent = agent;
    const parts = { clock: this.clock, random: () => 0.5 };
    const resolver = consulResolver("users", { url: agent.url, token: "secret", ...options }, parts);
    assert.deepEqual([resolver.name, resolver.authority], ["consul", "users"]);
    resolver.watch(
      { update: (list) => this.updates.push(list), failed: (error) => this.failures.push(error) },
      this.#closed.signal,
    );
    this.resolver = resolver;
  }

  readonly resolver;

  get addresses(): string[] {
    return (this.updates.at(-1) ?? assert.fail("no update")).map(({ address }) => address);
  }

  /** Waits until the resolver pauses, and passes the pause. @returns its length in milliseconds */
  async passPause(): Promise<number> {
    // While a request is under way the only timer is that of its end, 10 s or more ahead.
    const begin = this.clock.nowMs();
    for (let turn = 0; turn < 1_000; turn++) {
      const ms = (this.clock.nextMs ?? Number.POSITIVE_INFINITY) - begin;
      if (ms < 10_000) {
        this.clock.advance(ms);
        return Math.round(ms);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return assert.fail("the resolver does not pause");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.agent[Symbol.asyncDispose]();
  }
}

test("asks for passing instances, with the parameters of its options", async () => {
  await using rig = new Rig(await FakeConsul.start(), { tag: "v1", near: "_agent", filter: "Meta.x == y" });
  const call = await rig.agent.next();
  assert.equal(`${call.method} ${call.path}`, "GET /v1/health/service/users");
  assert.deepEqual(Object.fromEntries(call.query), {
    passing: "1",
    tag: "v1",
    near: "_agent",
    filter: "Meta.x == y",
  });
  assert.equal(call.token, "secret");
});

test("an instance has address, weight, zone and key", async () => {
  await using rig = new Rig(await FakeConsul.start());
  const answer = [
    instance("u-1", 1, { Weights: { Passing: 5, Warning: 2 }, Meta: { zone: "a", v: "7", odd: 3 } }),
    instance("u-2", 2, { Address: "", Weights: undefined }),
    instance("u-3", 3, { Address: "fd00::3" }),
    instance("u-4", 4, {}, "warning"),
    instance("u-5", 5, {}, "critical"),
    instance("u-6", 0),
    { Service: null },
  ];
  (await rig.agent.next()).reply(200, answer, 7);
  await rig.passPause();
  assert.equal((await rig.agent.next()).query.get("index"), "7");
  const none = { priority: 0, meta: {} };
  assert.deepEqual(rig.updates, [
    [
      {
        address: "10.0.0.1:1",
        priority: 0,
        meta: { zone: "a", v: "7" },
        weight: 5,
        zone: "a",
        hashKey: "u-1",
      },
      { address: "10.9.9.9:2", ...none, hashKey: "u-2" },
      { address: "[fd00::3]:3", ...none, weight: 1, hashKey: "u-3" },
    ],
  ]);
});

test("with warning instances with a warning are taken, with their weight for it", async () => {
  await using rig = new Rig(await FakeConsul.start(), { warning: true });
  const call = await rig.agent.next();
  assert.equal(call.query.get("passing"), null);
  const weights = { Weights: { Passing: 5, Warning: 2 } };
  call.reply(200, [
    instance("u-1", 1, weights),
    instance("u-2", 2, weights, "warning"),
    instance("u-3", 3, weights, "warning", "critical"),
  ]);
  await rig.passPause();
  assert.deepEqual(
    rig.updates[0]?.map(({ address, weight }) => `${address} ${weight}`),
    ["10.0.0.1:1 5", "10.0.0.1:2 2"],
  );
});

suite("the index", () => {
  test("leads from one answer to the next; unchanged it is no update", async () => {
    await using rig = new Rig(await FakeConsul.start());
    (await rig.agent.next()).reply(200, [instance("u-1", 1)], 10);
    assert.equal(await rig.passPause(), 600);
    const second = await rig.agent.next();
    assert.deepEqual([second.query.get("index"), second.query.get("wait")], ["10", "55s"]);
    rig.clock.advance(55_000);
    second.reply(200, [instance("u-1", 1)], 10);
    const third = await rig.agent.next();
    assert.equal(third.query.get("index"), "10");
    assert.equal(rig.updates.length, 1);
    third.reply(200, [instance("u-2", 2)], 12);
    await rig.passPause();
    assert.equal((await rig.agent.next()).query.get("index"), "12");
    assert.deepEqual(rig.addresses, ["10.0.0.1:2"]);
  });

  for (const [name, index] of [
    ["below the last one", 9],
    ["of 0", 0],
    ["that is missing", undefined],
    ["that is no number", "soon"],
    ["that is negative", -3],
  ] as const) {
    test(`D03: one ${name} restarts at 0, and its answer counts`, async () => {
      await using rig = new Rig(await FakeConsul.start());
      (await rig.agent.next()).reply(200, [instance("u-1", 1)], 10);
      await rig.passPause();
      (await rig.agent.next()).reply(200, [instance("u-2", 2)], index);
      await rig.passPause();
      const next = await rig.agent.next();
      assert.deepEqual([next.query.has("index"), next.query.has("wait")], [false, false]);
      assert.deepEqual(rig.addresses, ["10.0.0.1:2"]);
    });
  }

  test("D03: whatever Consul answers, there are fewer than two requests in a second", async () => {
    let index = 1;
    const agent = await FakeConsul.start((call) => {
      call.reply(200, [instance("u-1", 1)], index++ % 3);
      return true;
    });
    await using rig = new Rig(agent);
    for (let call = 0; call < 20; call++) await rig.passPause();
    assert.ok(rig.clock.nowMs() >= 20 * 500, String(rig.clock.nowMs()));
  });
});

suite("failures", () => {
  test("D04: are followed by growing pauses, and the index begins anew", async () => {
    await using rig = new Rig(await FakeConsul.start());
    (await rig.agent.next()).reply(200, [instance("u-1", 1)], 10);
    await rig.passPause();
    const pauses: number[] = [];
    for (const [status, body] of [
      [500, "rpc error: No cluster leader"],
      [200, "{ no JSON"],
      [200, '{"no": "list"}'],
      [503, ""],
    ] as const) {
      const call = await rig.agent.next();
      assert.equal(call.query.get("index"), pauses.length === 0 ? "10" : null);
      call.reply(status, body, 11);
      pauses.push(await rig.passPause());
    }
    assert.deepEqual(pauses, [1_000, 1_600, 2_560, 4_096]);
    assert.deepEqual(rig.addresses, ["10.0.0.1:1"]);
    assert.equal(rig.failures.length, 4);
    assert.equal(rig.failures[0]?.rawMessage, "consul: the agent does not answer");
    assert.match(String(rig.failures[0]?.cause), /HTTP 500: rpc error: No cluster leader/);
    (await rig.agent.next()).reply(200, [], 11);
    assert.equal(await rig.passPause(), 600);
  });

  test("D04: a query that is never answered is given up after its wait", async () => {
    await using rig = new Rig(await FakeConsul.start());
    (await rig.agent.next()).reply(200, [], 10);
    await rig.passPause();
    await rig.agent.next();
    rig.clock.advance(55_000 * (17 / 16) + 4_999);
    assert.equal(rig.failures.length, 0);
    rig.clock.advance(1);
    assert.equal(await rig.passPause(), 1_000);
    assert.match(String(rig.failures[0]?.cause), /no answer within 63437\.5 ms/);
    await rig.agent.next();
  });

  test("a refusal by ACL names the rules that are missing", async () => {
    await using rig = new Rig(await FakeConsul.start());
    (await rig.agent.next()).reply(403, "Permission denied");
    await rig.passPause();
    assert.match(
      rig.failures[0]?.rawMessage ?? "",
      /the token lacks the ACL rules service "users" \{ policy = "read" \}/,
    );
  });

  test("refresh() ends a pause after a failure", async () => {
    await using rig = new Rig(await FakeConsul.start());
    (await rig.agent.next()).reply(500);
    while (rig.failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
    rig.resolver.refresh?.();
    (await rig.agent.next()).reply(200, [instance("u-1", 1)], 3);
    await rig.passPause();
    assert.deepEqual(rig.addresses, ["10.0.0.1:1"]);
  });

  test("an agent that is not there fails, and nothing waits for it once the signal has fired", async () => {
    const agent = await FakeConsul.start();
    await agent[Symbol.asyncDispose]();
    const failures: ConnectError[] = [];
    const closed = new AbortController();
    const failed = new Promise<void>((resolve) => {
      consulResolver("users", { url: agent.url }).watch(
        {
          update: () => assert.fail("an update"),
          failed: (error) => {
            failures.push(error);
            resolve();
          },
        },
        closed.signal,
      );
    });
    await failed;
    closed.abort();
    assert.match(String(failures[0]?.cause), /ECONNREFUSED/);
  });
});

test("each datacenter has its own index, the first named is the first priority", async () => {
  await using rig = new Rig(await FakeConsul.start(), { dc: ["near", "far"] });
  const calls = [await rig.agent.next(), await rig.agent.next()];
  const of = (dc: string) => calls.find(({ query }) => query.get("dc") === dc) ?? assert.fail(dc);
  of("near").reply(500);
  while (rig.clock.nextMs !== 1_000) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(rig.failures.length, 0, "the other one may still answer");
  of("far").reply(200, [instance("f-1", 8)], 70);
  while (rig.updates.length === 0) await new Promise((resolve) => setImmediate(resolve));
  rig.clock.advance(1_000);
  const [one, other] = [await rig.agent.next(), await rig.agent.next()];
  const [near, far] = one.query.get("dc") === "near" ? [one, other] : [other, one];
  assert.deepEqual([near.query.get("index"), far.query.get("index")], [null, "70"]);
  near.reply(200, [instance("n-1", 1), instance("n-2", 2)], 5);
  while (rig.updates.length === 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    rig.updates.at(-1)?.map(({ address, priority }) => `${address} ${priority}`),
    ["10.0.0.1:1 0", "10.0.0.1:2 0", "10.0.0.1:8 1"],
  );
});

test("names and URLs that cannot be are refused", () => {
  assert.throws(() => consulResolver(""), /takes the name of a service/);
  assert.throws(
    () => consulResolver("users", { url: "unix:///run/consul.sock" }),
    /must be http:\/\/HOST:PORT/,
  );
});
