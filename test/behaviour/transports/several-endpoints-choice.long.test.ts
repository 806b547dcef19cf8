import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { dial } from "../../../src/core/dial.ts";
import {
  callsOf,
  dialSeveral,
  ScriptedResolver,
  severalServers,
  until,
  type OneOfSeveral,
} from "../../support/several-servers.ts";

/** Endpoints of servers, with what a test says of each. */
function placed<P extends object>(servers: readonly OneOfSeveral[], places: readonly P[]) {
  return servers.map(({ address }, index) => ({ address, ...places[index] }));
}

describe("a choice by hash", () => {
  for (const [what, balance] of [
    ["a header", { policy: "hash", header: "X-User-Id" }],
    ["a field of the request", { policy: "hash", field: "text" }],
    ["a field of a message", { policy: "hash", field: "behaviour.sleepMs" }],
  ] as const) {
    test(`${what}: equal values go to one server, others are spread`, async (t) => {
      const servers = await severalServers(t, 3);
      const addresses = servers.map(({ address }) => address);
      const { client, transport } = dialSeveral(t, addresses, { balance, compression: "gzip" });
      await transport.ready();
      await until(transport, () => transport.stats().cluster?.connections === 3);
      const used = new Set<string>();
      for (let user = 1; user <= 12; user++) {
        const before = callsOf(servers);
        for (let call = 0; call < 4; call++) {
          await client.echo(
            { text: `user ${user}`, behaviour: { sleepMs: user } },
            { headers: { "x-user-id": `${user}` } },
          );
        }
        const counts = callsOf(servers).map((count, index) => count - (before[index] ?? 0));
        assert.deepEqual(
          counts.toSorted((one, other) => one - other),
          [0, 0, 4],
        );
        used.add(counts.join());
      }
      assert.ok(used.size >= 2, "all users have one server");
    });
  }

  test("calls without a key are spread, and a stream by its header", async (t) => {
    const servers = await severalServers(t, 2);
    const addresses = servers.map(({ address }) => address);
    const { client, transport } = dialSeveral(t, addresses, {
      balance: { policy: "hash", header: "x-user" },
    });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    for (let call = 0; call < 40; call++) await client.echo({});
    for (const calls of callsOf(servers)) assert.ok(calls > 5, `${calls} calls`);
    const before = callsOf(servers);
    for (let call = 0; call < 4; call++) {
      for await (const _ of client.repeat({ count: 1 }, { headers: { "x-user": "one" } }));
    }
    const counts = callsOf(servers).map((count, index) => count - (before[index] ?? 0));
    assert.deepEqual(
      counts.toSorted((one, other) => one - other),
      [0, 4],
    );
  });

  test("a server with more calls than 1.25 times the mean is passed over", async (t) => {
    const servers = await severalServers(t, 3);
    const addresses = servers.map(({ address }) => address);
    const { client, transport } = dialSeveral(t, addresses, {
      balance: { policy: "hash", header: "x-user" },
    });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    const held = Array.from({ length: 30 }, () =>
      client.echo({ behaviour: { sleepMs: 50 } }, { headers: { "x-user": "one" } }),
    );
    await Promise.all(held);
    for (const calls of callsOf(servers)) assert.ok(calls > 3 && calls <= 13, `${calls} calls of 30`);
  });
});

describe("zones and priorities", () => {
  test("prefer: servers of this zone get all calls, and the others some as one of them is lost", async (t) => {
    const servers = await severalServers(t, 4);
    const list = placed(servers, [{ zone: "a" }, { zone: "a" }, { zone: "b" }, { zone: "b" }]);
    const { client, transport } = dialSeveral(t, list, { zone: "a", zoneMode: "prefer" });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 4);
    for (let call = 0; call < 20; call++) await client.echo({});
    assert.deepEqual(callsOf(servers).slice(2), [0, 0]);
    await servers[0]?.front.kill();
    await until(transport, () => transport.stats().endpoints[0]?.state === "transient-failure");
    for (let call = 0; call < 60; call++) await client.echo({});
    const far = callsOf(servers)
      .slice(2)
      .reduce((sum, calls) => sum + calls, 0);
    assert.ok(far >= 5 && far <= 35, `${far} of 60, not about 18`);
    await servers[1]?.front.kill();
    await until(transport, () => transport.stats().endpoints[1]?.state === "transient-failure");
    for (let call = 0; call < 20; call++) await client.echo({});
  });

  test("hints: the servers whose hints name this zone are connected, no others", async (t) => {
    const servers = await severalServers(t, 3);
    const list = placed(servers, [{ zoneHints: ["a", "b"] }, { zoneHints: ["b"] }, { zoneHints: ["c"] }]);
    const { client, transport } = dialSeveral(t, list, { zone: "a", zoneMode: "hints" });
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [10, 0, 0]);
    assert.deepEqual(
      servers.map(({ front }) => front.accepted),
      [1, 0, 0],
    );
    assert.deepEqual(
      transport.endpoints.map(({ address }) => address),
      [servers[0]?.address],
    );
  });

  for (const balance of ["p2c", "pick_first"] as const) {
    test(`priorities (${balance}): the second is used as the first is lost, and not any more when it is back`, async (t) => {
      const servers = await severalServers(t, 2);
      const list = placed(servers, [{ priority: 1 }, { priority: 0 }]);
      const { client, transport } = dialSeveral(t, list, { balance });
      await transport.ready();
      const connections = balance === "p2c" ? 2 : 1;
      await until(transport, () => transport.stats().cluster?.connections === connections);
      for (let call = 0; call < 10; call++) await client.echo({});
      assert.deepEqual(callsOf(servers), [0, 10]);
      await servers[1]?.front.kill();
      await until(transport, () => transport.stats().endpoints[1]?.state === "transient-failure");
      for (let call = 0; call < 10; call++) await client.echo({});
      assert.deepEqual(callsOf(servers), [10, 10]);
      if (balance === "pick_first") return; // It stays where it is.
      await servers[1]?.front.start();
      await until(transport, () => transport.stats().endpoints[1]?.state === "ready");
      for (let call = 0; call < 10; call++) await client.echo({});
      assert.deepEqual(callsOf(servers), [10, 20]);
    });
  }
});

test("a subset: so many connections, and the same servers after a list in another order", async (t) => {
  const [server] = await severalServers(t, 1, { host: "0.0.0.0" });
  const port = server?.server.address?.port;
  // All of 127.0.0.0/8 is this machine.
  const all = Array.from({ length: 500 }, (_, index) => `127.0.${1 + (index >> 8)}.${index & 255}:${port}`);
  const resolver = new ScriptedResolver();
  const { client, transport } = dialSeveral(t, resolver, { subset: 20 });
  const first = client.echo({});
  await resolver.watched;
  resolver.update(...all);
  await first;
  await until(transport, () => transport.stats().cluster?.connections === 20);
  const before = transport.endpoints.map(({ address }) => address);
  assert.equal(before.length, 20);
  resolver.update(...all.toReversed());
  assert.deepEqual(
    transport.endpoints.map(({ address }) => address),
    before,
  );
  assert.equal(transport.stats().cluster?.connections, 20);
  resolver.update(...all.slice(0, 10));
  assert.equal(transport.endpoints.length, 10);
  await client.echo({});
});

test("slow start: a server that is found later has less weight at first, and all of it in the end", async (t) => {
  const servers = await severalServers(t, 3);
  const [one = "", two = "", three = ""] = servers.map(({ address }) => address);
  const resolver = new ScriptedResolver();
  const { client, transport } = dialSeveral(t, resolver, {
    balance: "round_robin",
    slowStart: { windowMs: 300, minWeight: 0.05 },
  });
  const first = client.echo({});
  await resolver.watched;
  resolver.update(one, two);
  await first;
  await until(transport, () => transport.stats().cluster?.connections === 2);
  const weights = (): readonly unknown[] => transport.stats().endpoints.map(({ load }) => load?.weight);
  await client.echo({});
  assert.deepEqual(weights(), [1, 1]);
  resolver.update(one, two, three);
  await until(transport, () => transport.stats().cluster?.connections === 3);
  const readyMs = performance.now();
  await client.echo({});
  const early = transport.stats().endpoints[2]?.load?.weight ?? 1;
  assert.ok(early < 1, `a weight of ${early} at once`);
  while (transport.stats().endpoints[2]?.load?.weight !== 1) await client.echo({ behaviour: { sleepMs: 5 } });
  assert.ok(performance.now() - readyMs >= 290);
});

describe("what is wrong with options is said by dial", () => {
  const wrong: readonly (readonly [what: string, options: object, text: RegExp])[] = [
    ["hash without a key", { balance: "hash" }, /balance for hash needs what to hash: header or field/],
    ["hash with two", { balance: { policy: "hash", header: "a", field: "b" } }, /header or field/],
    [
      "a binary header",
      { balance: { policy: "hash", header: "x-bin" } },
      /balance\.header must be the name of a header/,
    ],
    [
      "no field",
      { balance: { policy: "hash", field: "a..b" } },
      /balance\.field must be the path of a field, such as "user\.id"/,
    ],
    [
      "a bound below 1",
      { balance: { policy: "hash", header: "a", boundedLoad: 0.5 } },
      /balance\.boundedLoad must be a number from 1, not 0\.5/,
    ],
    ["a header of another policy", { balance: { policy: "p2c", header: "a" } }, /has no header for p2c/],
    [
      "an unknown zone mode",
      { zoneMode: "local", zone: "a" },
      /zoneMode must be one of off, prefer, hints, not 'local'/,
    ],
    [
      "a zone mode without a zone",
      { zoneMode: "prefer" },
      /zoneMode 'prefer' needs the zone of this process/,
    ],
    ["no text as the zone", { zone: 7 }, /the option zone must be a text, not 7/],
    ["half an endpoint", { subset: 2.5 }, /subset must be a whole number from 0, not 2\.5/],
    [
      "an unknown part of slow start",
      { slowStart: { window: 5 } },
      /no option slowStart\.window; did you mean windowMs/,
    ],
    [
      "a negative window",
      { slowStart: { windowMs: -1 } },
      /slowStart\.windowMs must be a number from 0 to \d+, not -1/,
    ],
    ["no object", { slowStart: true }, /slowStart must be an object, not true/],
    [
      "an unknown mode of health",
      { health: { mode: "tcp" } },
      /health\.mode must be one of watch, check, http, not 'tcp'/,
    ],
    [
      "no path",
      { health: { mode: "http", path: "readyz" } },
      /health\.path must be a path such as "\/readyz"/,
    ],
    ["no failures", { health: { failures: 0 } }, /health\.failures must be a whole number from 1, not 0/],
    ["a text as health", { health: "on" }, /the option health must be an object, not 'on'/],
    [
      "health of pick_first",
      { health: true, balance: "pick_first" },
      /health has no effect with balance pick_first/,
    ],
    [
      "a ratio above 1",
      { outlier: { failureRatio: 1.5 } },
      /outlier\.failureRatio must be a number from 0\.01 to 1, not 1\.5/,
    ],
    [
      "a percentage above 100",
      { outlier: { maxEjectionPercent: 101 } },
      /maxEjectionPercent must be a number from 0 to 100, not 101/,
    ],
    ["an unknown part of ejection", { outlier: { consecutive5xx: 3 } }, /no option outlier\.consecutive5xx/],
    ["true as ejection", { outlier: true }, /outlier must be an object, not true/],
  ];
  for (const [what, options, text] of wrong) {
    test(what, () => {
      assert.throws(
        () => dial(["a:1", "b:1"], options), // As callers without types do.
        (error: Error) => error instanceof TypeError && text.test(error.message),
      );
    });
  }
});

test("the zone of a process may come from TS_MS_ZONE", async () => {
  const index = new URL("../../../src/index.ts", import.meta.url).href;
  const program = `import { dial } from "${index}"; dial(["a:1"], { zoneMode: "prefer" }); console.log("dialled");`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], {
    env: { ...process.env, TS_MS_ZONE: "eu-1a" },
  });
  assert.equal(stdout, "dialled\n");
});
