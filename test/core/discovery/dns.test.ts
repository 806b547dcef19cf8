import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { dnsResolver } from "../../../src/core/discovery/dns.ts";
import { srvResolver } from "../../../src/core/discovery/srv.ts";
import type { Endpoint, Resolver } from "../../../src/core/discovery/resolver.ts";
import type { ConnectError } from "../../../src/core/errors/errors.ts";
import { DnsServer, type DnsZone } from "../../support/dns-server.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

type Event = readonly Endpoint[] | ConnectError;

/** A DNS server, and what a resolver finds there. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly server: DnsServer;
  readonly #events: Event[] = [];
  readonly #waiting: ((event: Event) => void)[] = [];
  readonly #closed = new AbortController();

  private constructor(server: DnsServer) {
    this.server = server;
  }

  static async start(zone: DnsZone): Promise<Rig> {
    return new Rig(await DnsServer.start(zone));
  }

  get options() {
    return { servers: [this.server.address] };
  }

  get parts() {
    return { clock: this.clock, random: () => 0.5 };
  }

  watch(resolver: Resolver): void {
    const take = (event: Event): void => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#events.push(event);
      else next(event);
    };
    resolver.watch({ update: take, failed: take }, this.#closed.signal);
  }

  async next(): Promise<Event> {
    return this.#events.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
  }

  async endpoints(): Promise<readonly Endpoint[]> {
    const event = await this.next();
    return event instanceof Error ? assert.fail(event) : event;
  }

  async addresses(): Promise<string[]> {
    return (await this.endpoints()).map(({ address }) => address);
  }

  async failure(): Promise<ConnectError> {
    const event = await this.next();
    return event instanceof Error ? event : assert.fail("endpoints were found");
  }

  /** Passes the pause after an answer. @returns its length in milliseconds */
  async passPause(): Promise<number> {
    await this.clock.pass(0);
    const ms = (this.clock.nextMs ?? assert.fail("no pause")) - this.clock.nowMs();
    this.clock.advance(ms);
    return Math.round(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.server[Symbol.asyncDispose]();
  }
}

suite("dns:", () => {
  test("finds all addresses, A and AAAA, one query at a time", async () => {
    await using rig = await Rig.start({
      "users.test": [
        { type: "A", address: "10.0.0.1", ttl: 60 },
        { type: "A", address: "10.0.0.2", ttl: 30 },
        { type: "AAAA", address: "fd00::1", ttl: 90 },
      ],
    });
    const resolver = dnsResolver("users.test", 42_001, rig.options, rig.parts);
    assert.deepEqual([resolver.name, resolver.authority], ["dns", "users.test:42001"]);
    rig.watch(resolver);
    assert.deepEqual((await rig.addresses()).toSorted(), [
      "10.0.0.1:42001",
      "10.0.0.2:42001",
      "[fd00::1]:42001",
    ]);
    assert.deepEqual(rig.server.queries, ["A users.test", "AAAA users.test"]);
    assert.equal(rig.server.mostAtOnce, 1);
    assert.equal(await rig.passPause(), 30_000);
  });

  for (const [ttl, holdMs] of [
    [0, 5_000],
    [4, 5_000],
    [6, 6_000],
    [299, 299_000],
    [86_400, 300_000],
  ] as const) {
    test(`an answer with a TTL of ${ttl} s holds for ${holdMs} ms`, async () => {
      await using rig = await Rig.start({ "users.test": [{ type: "A", address: "10.0.0.1", ttl }] });
      rig.watch(dnsResolver("users.test", 1, rig.options, rig.parts));
      await rig.endpoints();
      assert.equal(await rig.passPause(), holdMs);
      await rig.endpoints();
    });
  }

  test("changes are found when the answer no longer holds", async () => {
    await using rig = await Rig.start({ "users.test": [{ type: "A", address: "10.0.0.1", ttl: 5 }] });
    rig.watch(dnsResolver("users.test", 1, rig.options, rig.parts));
    assert.deepEqual(await rig.addresses(), ["10.0.0.1:1"]);
    rig.server.zone["users.test"] = [{ type: "A", address: "10.0.0.9", ttl: 5 }];
    await rig.passPause();
    assert.deepEqual(await rig.addresses(), ["10.0.0.9:1"]);
  });

  test("K02: a name that does not exist is asked for with growing pauses until it appears", async () => {
    await using rig = await Rig.start({});
    rig.watch(dnsResolver("users.test", 1, rig.options, rig.parts));
    const pauses: number[] = [];
    while (rig.clock.nowMs() < 20_000) {
      const error = await rig.failure();
      assert.equal(error.rawMessage, "dns: the name does not exist");
      assert.match(String(error.cause), /users\.test/);
      pauses.push(await rig.passPause());
    }
    assert.deepEqual(pauses, [1_000, 1_600, 2_560, 4_096, 6_554, 10_486]);
    assert.ok(rig.server.queries.filter((query) => query.startsWith("A ")).length <= 8);
    rig.server.zone["users.test"] = [{ type: "A", address: "10.0.0.1", ttl: 5 }];
    assert.deepEqual(await rig.addresses(), ["10.0.0.1:1"]);
    delete rig.server.zone["users.test"];
    await rig.passPause();
    await rig.failure();
    assert.equal(await rig.passPause(), 1_000);
  });

  test("a name without addresses is an empty set, a server that fails is none", async () => {
    await using rig = await Rig.start({ "empty.test": [], "broken.test": "servfail" });
    rig.watch(dnsResolver("empty.test", 1, rig.options, rig.parts));
    assert.deepEqual(await rig.endpoints(), []);
    rig.watch(dnsResolver("broken.test", 1, rig.options, rig.parts));
    const error = await rig.failure();
    assert.equal(error.rawMessage, "dns: no answer");
    assert.match(String(error.cause), /broken\.test/);
  });

  test("one family is enough", async () => {
    await using rig = await Rig.start({ "six.test": [{ type: "AAAA", address: "fd00::6", ttl: 60 }] });
    rig.watch(dnsResolver("six.test", 1, rig.options, rig.parts));
    assert.deepEqual(await rig.addresses(), ["[fd00::6]:1"]);
  });

  test("without servers of its own, what DNS does not know the system does", async () => {
    await using rig = await Rig.start({});
    rig.watch(dnsResolver("localhost", 1, {}, rig.parts));
    const addresses = await rig.addresses();
    assert.ok(addresses.some((address) => address === "127.0.0.1:1" || address === "[::1]:1"));
  });

  test("refresh() looks at once, and not twice at the same time", async () => {
    await using rig = await Rig.start({ "users.test": [{ type: "A", address: "10.0.0.1", ttl: 300 }] });
    const resolver = dnsResolver("users.test", 1, rig.options, rig.parts);
    rig.watch(resolver);
    resolver.refresh?.();
    await rig.endpoints();
    await rig.clock.pass(0);
    resolver.refresh?.();
    resolver.refresh?.();
    await rig.endpoints();
    assert.equal(rig.server.queries.length, 4);
  });
});

suite("srv:", () => {
  test("finds servers with their priorities and weights (RFC 2782)", async () => {
    const srv = { type: "SRV", port: 42_001 } as const;
    await using rig = await Rig.start({
      "_grpc._tcp.users.test": [
        { ...srv, target: "a.test", priority: 0, weight: 10 },
        { ...srv, target: "b.test", priority: 0, weight: 0, port: 42_002 },
        { ...srv, target: "c.test", priority: 20, weight: 1 },
        { ...srv, target: "gone.test", priority: 20, weight: 1 },
      ],
      "a.test": [
        { type: "A", address: "10.0.0.1", ttl: 120 },
        { type: "AAAA", address: "fd00::1", ttl: 120 },
      ],
      "b.test": [{ type: "A", address: "10.0.0.2", ttl: 60 }],
      "c.test": [{ type: "A", address: "10.0.0.3", ttl: 90 }],
    });
    const resolver = srvResolver("_grpc._tcp.users.test", rig.options, rig.parts);
    assert.deepEqual([resolver.name, resolver.authority], ["srv", "_grpc._tcp.users.test"]);
    rig.watch(resolver);
    const found = (await rig.endpoints()).toSorted((one, other) => (one.address < other.address ? -1 : 1));
    assert.deepEqual(found, [
      { address: "10.0.0.1:42001", priority: 0, weight: 10 },
      { address: "10.0.0.2:42002", priority: 0, weight: 1 },
      { address: "10.0.0.3:42001", priority: 20, weight: 1 },
      { address: "[fd00::1]:42001", priority: 0, weight: 10 },
    ]);
    assert.equal(await rig.passPause(), 60_000);
  });

  test("the target . is an empty set", async () => {
    await using rig = await Rig.start({
      "_grpc._tcp.users.test": [{ type: "SRV", target: ".", port: 0, priority: 0, weight: 0 }],
    });
    rig.watch(srvResolver("_grpc._tcp.users.test", rig.options, rig.parts));
    assert.deepEqual(await rig.endpoints(), []);
    assert.equal(await rig.passPause(), 5_000);
  });

  test("a name that does not exist fails, and so do hosts of which none is found", async () => {
    await using rig = await Rig.start({
      "lost.test": [{ type: "SRV", target: "gone.test", port: 1, priority: 0, weight: 0 }],
    });
    rig.watch(srvResolver("none.test", rig.options, rig.parts));
    assert.equal((await rig.failure()).rawMessage, "srv: the name does not exist");
    rig.watch(srvResolver("lost.test", rig.options, rig.parts));
    assert.match((await rig.failure()).rawMessage, /^srv: the name does not exist/);
  });
});
