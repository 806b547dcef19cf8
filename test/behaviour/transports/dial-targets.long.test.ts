import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { dial, type DialTarget } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { consulResolver } from "../../../src/entries/consul.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { DnsServer, type DnsZone } from "../../support/dns-server.ts";
import { failure, isImmediate } from "../../support/failure.ts";
import { FakeConsul, instance } from "../../support/fake-consul.ts";
import { grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { authority, serverCertificate } from "../../support/transport-rig.ts";
import {
  callsOf,
  dialSeveral,
  ScriptedResolver,
  severalServers,
  until,
} from "../../support/several-servers.ts";

async function dnsServer(t: TestContext, zone: DnsZone): Promise<DnsServer> {
  const server = await DnsServer.start(zone);
  t.after(() => server[Symbol.asyncDispose]());
  return server;
}

/** The port of an address. */
function portOf(address = ""): number {
  return Number(address.split(":").at(-1));
}

describe("targets with a scheme", () => {
  test("dns: calls go to all addresses of a name, which is their authority", async (t) => {
    const authorities: unknown[] = [];
    await using server = await new RawGrpcServer((stream, headers) => {
      authorities.push(headers[":authority"]);
      stream.respond({ ...grpcHeaders, "grpc-status": "5" }, { endStream: true });
    }).listen();
    const { address } = await dnsServer(t, { "users.test": [{ type: "A", address: "127.0.0.1", ttl: 60 }] });
    const target = `dns:///users.test:${server.port}`;
    const { client, transport } = dialSeveral(t, target, { dns: { servers: [address] } });
    assert.equal(transport.state, "idle");
    await failure(client.echo({}), Code.NotFound);
    assert.deepEqual(authorities, [`users.test:${server.port}`]);
    assert.deepEqual(
      transport.endpoints.map((endpoint) => endpoint.address),
      [server.target],
    );
    const { name, discovery } = transport.stats().cluster ?? assert.fail("no figures");
    assert.equal(name, `users.test:${server.port}`);
    assert.deepEqual([discovery?.source, discovery?.stale, discovery?.error], ["dns", false, undefined]);
    assert.ok((discovery?.ageMs ?? -1) >= 0);
  });

  test("srv: each server has a port of its own", async (t) => {
    const servers = await severalServers(t, 2);
    const { address } = await dnsServer(t, {
      "_grpc._tcp.users.test": servers.map((one) => ({
        type: "SRV",
        target: "host.test",
        port: portOf(one.address),
        priority: 0,
        weight: 1,
      })),
      "host.test": [{ type: "A", address: "127.0.0.1", ttl: 60 }],
    });
    const options = { dns: { servers: [address] }, balance: "round_robin" } as const;
    const { client, transport } = dialSeveral(t, "srv:///_grpc._tcp.users.test", options);
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    for (let call = 0; call < 4; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [2, 2]);
  });

  test("ipv4: a list, without discovery", async (t) => {
    const servers = await severalServers(t, 2);
    const target = `ipv4:${servers.map(({ address }) => address).join(",")}`;
    const { client, transport } = dialSeveral(t, target, { balance: "round_robin" });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    for (let call = 0; call < 4; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [2, 2]);
    const { name, discovery } = transport.stats().cluster ?? assert.fail("no figures");
    assert.deepEqual([name, discovery], ["list", undefined]);
  });

  test("consul: the agent is that of the environment", async (t) => {
    const [server] = await severalServers(t, 1);
    await using agent = await FakeConsul.start((call) => {
      if (call.query.has("index")) return false;
      call.reply(200, [instance("users-1", portOf(server?.address), { Address: "127.0.0.1" })], 7);
      return true;
    });
    const module = (path: string): string =>
      JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
    const program = `
      const { createClient, dial } = await import(${module("src/index.ts")});
      const { EchoService } = await import(${module("gen/tsms/test/v1/echo_pb.ts")});
      await using users = dial("consul:///users?tag=v1&dc=east");
      const { text } = await createClient(EchoService, users).echo({ text: "found" });
      const { name, discovery } = users.stats().cluster;
      console.log(text, name, discovery.source);`;
    const args = ["--input-type=module", "--eval", program];
    const env = { ...process.env, CONSUL_HTTP_ADDR: agent.url, CONSUL_HTTP_TOKEN: "secret" };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    assert.equal(stdout, "found users consul\n");
    const [first] = agent.calls;
    assert.equal(first?.path, "/v1/health/service/users");
    assert.deepEqual(Object.fromEntries(first.query), { passing: "1", tag: "v1", dc: "east" });
    assert.equal(first.token, "secret");
  });

  const one = { target: "a:1", weight: 1 };
  const servers = ["resolver.test"];
  const wrong: readonly (readonly [string, unknown, object, RegExp])[] = [
    ["an unknown scheme", "etcd:///users", {}, /there is no scheme "etcd", but consul, dns/],
    ["a scheme with a typing error", "cosul:///users", {}, /did you mean consul\?/],
    [
      "an unknown parameter",
      "consul:///users?tags=a",
      {},
      /has tag, dc, .*no parameter "tags"; did you mean tag\?/,
    ],
    [
      "DNS servers that are none",
      "dns:///users:1",
      { dns: { servers } },
      /dns\.servers .* not 'resolver\.test'/,
    ],
    ["another option of DNS", "dns:///users:1", { dns: { server: [] } }, /dns must be \{ servers/],
    ["a negative time", "dns:///users:1", { staleMs: -1 }, /staleMs must be 0 or more, not -1/],
    ["consul: with TLS and no name", "consul:///users", { tls: true }, /needs tls\.serverName/],
    ["a resolver of Consul the same", consulResolver("users"), { tls: {} }, /needs tls\.serverName/],
    ["a list of addresses the same", "ipv4:10.0.0.1:1,10.0.0.2:1", { tls: true }, /needs tls\.serverName/],
    [
      "certificates that cannot be used",
      "dns:///users:1",
      { tls: { ca: "none" } },
      /tls cannot be used: .*tls\.ca/,
    ],
    ["an endpoint with another field", [one], {}, /an endpoint is an address/],
  ];
  for (const [what, target, options, text] of wrong) {
    test(`dial refuses ${what}`, () => {
      assert.throws(
        () => dial(target as DialTarget, options), // As callers without types do.
        (error: Error) => error instanceof TypeError && text.test(error.message),
      );
    });
  }
});

describe("names and certificates", () => {
  const tls = { cert: serverCertificate.cert, key: serverCertificate.key };

  test("servers of dns: are verified by the name, and never called without TLS", async (t) => {
    const [server] = await severalServers(t, 1, { tls });
    const port = portOf(server?.address);
    const found = [{ type: "A", address: "127.0.0.1", ttl: 60 }] as const;
    const { address } = await dnsServer(t, { localhost: found, "users.test": found });
    const options = { dns: { servers: [address] }, tls: { ca: authority.cert } };
    const good = dialSeveral(t, `dns:///localhost:${port}`, options);
    assert.equal((await good.client.echo({ text: "verified" })).text, "verified");
    const other = dialSeveral(t, `dns:///users.test:${port}`, options);
    const error = await failure(other.client.echo({}), Code.Unavailable);
    assert.match(String(error.cause), /certificate/);
    const named = dialSeveral(t, `dns:///users.test:${port}`, {
      ...options,
      tls: { ...options.tls, serverName: "localhost" },
    });
    assert.equal((await named.client.echo({ text: "named" })).text, "named");
  });

  test("those of a resolver by its authority", async (t) => {
    const [server] = await severalServers(t, 1, { tls });
    const resolver = Object.assign(new ScriptedResolver(), { authority: "localhost:42001" });
    const { client } = dialSeveral(t, resolver, { tls: { ca: authority.cert } });
    const reply = client.echo({ text: "verified" });
    await resolver.watched;
    resolver.update(server?.address ?? "");
    assert.equal((await reply).text, "verified");
  });
});

describe("the endpoints of a name", () => {
  test("K02: one that does not exist is UNAVAILABLE at once, and is found when it appears", async (t) => {
    const [server] = await severalServers(t, 1);
    const dns = await dnsServer(t, {});
    const target = `dns:///users.test:${portOf(server?.address)}`;
    const { client, transport } = dialSeveral(t, target, { dns: { servers: [dns.address] }, name: "users" });
    const error = await failure(client.echo({}), Code.Unavailable);
    assert.equal(error.rawMessage, "users: no endpoint (dns: the name does not exist)");
    const again = failure(client.echo({}), Code.Unavailable);
    assert.ok(await isImmediate(again));
    await again;
    assert.ok(transport.stats().cluster?.discovery?.error !== undefined);
    const patient = dialSeveral(t, target, {
      dns: { servers: [dns.address] },
      policies: [{ selector: "tsms.test.v1.EchoService/*", waitForReady: true }],
    });
    const waiting = patient.client.echo({ text: "waited" });
    await until(patient.transport, () => patient.transport.stats().cluster?.discovery?.error !== undefined);
    dns.zone["users.test"] = [{ type: "A", address: "127.0.0.1", ttl: 60 }];
    await until(transport, () => transport.state === "ready");
    assert.equal((await client.echo({ text: "there" })).text, "there");
    assert.equal((await waiting).text, "waited");
    // How often it is looked up is the matter of endpoint-watch.test.ts, by a virtual clock.
  });

  test("stay through errors and, for staleMs, through empty answers; what comes back keeps its connections", async (t) => {
    const servers = await severalServers(t, 2);
    const addresses = servers.map(({ address }) => address);
    const resolver = new ScriptedResolver();
    const { client, transport } = dialSeveral(t, resolver, { name: "stale test", staleMs: 300 });
    const metrics = new Metrics({ processMetrics: false });
    const line = async (metric: string): Promise<string | undefined> =>
      new RegExp(`^ts_ms_${metric}\\{upstream="stale test"[^}]*\\} .*$`, "m").exec(await metrics.page())?.[0];
    const first = client.echo({});
    await resolver.watched;
    assert.equal(await line("discovery_age_seconds"), undefined);
    resolver.update(...addresses);
    await first;
    await until(transport, () => transport.stats().cluster?.connections === 2);
    resolver.listener.failed(new ConnectError("script: away", Code.Unavailable));
    await client.echo({});
    assert.equal(transport.stats().cluster?.discovery?.error?.rawMessage, "script: away");
    resolver.update();
    assert.match((await line("discovery_stale")) ?? "", / 1$/);
    await client.echo({});
    assert.equal(transport.stats().cluster?.discovery?.stale, true);
    resolver.update(...addresses.toReversed());
    assert.match((await line("discovery_stale")) ?? "", / 0$/);
    assert.match((await line("discovery_age_seconds")) ?? "", / 0\.?\d*$/);
    await client.echo({});
    assert.deepEqual(
      servers.map(({ front }) => front.accepted),
      [1, 1],
    );
    resolver.update();
    await until(transport, () => transport.endpoints.length === 0);
    const none = await failure(client.echo({}), Code.Unavailable);
    assert.equal(none.rawMessage, "stale test: no endpoint (script: 0 instances)");
    const page = await metrics.page();
    for (const [result, count] of Object.entries({ changed: 1, unchanged: 1, empty: 2, failed: 1 })) {
      const expected = `ts_ms_discovery_updates_total{upstream="stale test",result="${result}"} ${count}\n`;
      assert.ok(page.includes(expected), `${expected}is not in\n${page}`);
    }
    assert.ok(
      page.includes('ts_ms_client_connections_closed_total{upstream="stale test",reason="removed"} 2\n'),
    );
  });

  test("one that is confirmed is no update, and not old", async (t) => {
    const [server] = await severalServers(t, 1);
    const resolver = new ScriptedResolver();
    const { client, transport } = dialSeveral(t, resolver);
    const first = client.echo({});
    await resolver.watched;
    resolver.update(server?.address ?? "");
    await first;
    resolver.listener.failed(new ConnectError("script: away", Code.Unavailable));
    resolver.listener.confirmed?.();
    assert.equal(transport.stats().cluster?.discovery?.error, undefined);
    assert.ok((transport.stats().cluster?.discovery?.ageMs ?? 1_000) < 500);
  });
});

test("why connections to endpoints end is counted", async (t) => {
  const servers = await severalServers(t, 1);
  const [server] = servers;
  const { client, transport } = dialSeveral(t, [server?.address ?? ""], {
    name: "closing test",
    connections: { maxAgeMs: 60_000, idleTimeoutMs: 150 },
  });
  const metrics = new Metrics({ processMetrics: false });
  const count = async (reason: string): Promise<number> => {
    const series = `ts_ms_client_connections_closed_total{upstream="closing test",reason="${reason}"} `;
    return Number((await metrics.page()).split(series)[1]?.split("\n")[0] ?? 0);
  };
  await client.echo({});
  await server?.front.kill();
  await until(transport, () => transport.state !== "ready");
  await server?.front.start();
  await transport.ready();
  assert.equal(await count("lost"), 1);
  await until(transport, () => transport.state === "idle");
  assert.equal(await count("idle"), 1);
  await client.echo({});
  await server?.server.gracefulStop({ graceMs: 500 });
  await until(transport, () => transport.state !== "ready");
  assert.equal(await count("goaway"), 1);
  assert.equal(await count("age"), 0);
});
