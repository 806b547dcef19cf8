import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Code } from "../../../src/core/errors/errors.ts";
import { failure } from "../../support/failure.ts";
import {
  callsOf,
  dialSeveral,
  Load,
  ScriptedResolver,
  severalServers,
  until,
} from "../../support/several-servers.ts";

describe("K01: an endpoint that drops its connections", () => {
  test("is connected to ever more rarely, and the others have equal shares", async (t) => {
    const servers = await severalServers(t, 4);
    const [dropping, ...others] = servers;
    if (dropping === undefined) assert.fail("no server");
    dropping.front.lifeMs = 50;
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { balance: "round_robin" },
    );
    await transport.ready();
    const load = new Load(4, () => client.echo({ behaviour: { sleepMs: 2 } }, { timeoutMs: 5_000 }));
    const began = performance.now();
    await load.until(() => performance.now() - began > 1_500);
    await load.stop();
    // At once, once more at once, then after 320, 512 and 819 ms.
    assert.ok(
      dropping.front.accepted >= 3 && dropping.front.accepted <= 5,
      `${dropping.front.accepted} dials`,
    );
    for (const { code } of load.errors) assert.equal(code, Code.Unavailable);
    const calls = callsOf(others);
    const total = calls.reduce((sum, count) => sum + count, 0);
    for (const count of calls) assert.ok(Math.abs(count / total - 1 / 3) < 0.1, `${count} of ${total}`);
    assert.equal(transport.stats().endpoints.length, 4);
  });
});

describe("K03: thousands of endpoints", () => {
  test("the same in another order closes no connection and takes little time", async (t) => {
    const [server] = await severalServers(t, 1, { host: "0.0.0.0" });
    const port = server?.server.address?.port;
    // All of 127.0.0.0/8 is this machine.
    const near = Array.from({ length: 50 }, (_, index) => `127.0.1.${index + 1}:${port}`);
    const far = Array.from({ length: 4_950 }, (_, index) => ({
      address: `127.${1 + (index >> 8)}.0.${index & 255}:1`,
      weight: 0,
    }));
    const resolver = new ScriptedResolver();
    const { client, transport } = dialSeveral(t, resolver, { connections: { atOnce: 50 } });
    const first = client.echo({});
    await resolver.watched;
    resolver.update(...near, ...far);
    await first;
    await until(transport, () => transport.stats().cluster?.connections === 50);
    const before = transport.stats().endpoints.map(({ address, load }) => [address, load?.attempts]);
    const reversed = [...far, ...near].toReversed();
    const usage = process.cpuUsage();
    resolver.update(...reversed);
    const { user } = process.cpuUsage(usage);
    assert.ok(user < 50_000, `${user} us of CPU`);
    assert.equal(transport.stats().cluster?.connections, 50);
    assert.deepEqual(
      transport.stats().endpoints.map(({ address, load }) => [address, load?.attempts]),
      before,
    );
    resolver.update(...near.slice(0, 3).map((address) => address.replace("127.0.1.", "127.0.2.")));
    await client.echo({});
    assert.equal(transport.stats().endpoints.length, 3);
  });
});

describe("K07: a server with few streams to a connection", () => {
  for (const [max, connections] of [
    [8, 8],
    [1, 1],
  ] as const) {
    test(`all calls are served over ${max} connections at most`, async (t) => {
      const servers = await severalServers(t, 1, { maxConcurrentStreams: 10 });
      const { client, transport } = dialSeveral(
        t,
        servers.map(({ address }) => address),
        { connections: { max } },
      );
      await transport.ready();
      const replies = Array.from({ length: 100 }, (_, index) =>
        client.echo({ text: `${index}`, behaviour: { sleepMs: 40 } }),
      );
      for (const [index, { text }] of (await Promise.all(replies)).entries()) assert.equal(text, `${index}`);
      const accepted = servers[0]?.front.accepted ?? 0;
      assert.ok(accepted <= connections && accepted >= Math.min(connections, 2), `${accepted} connections`);
      assert.equal(transport.stats().cluster?.queued, 0);
    });
  }

  test("calls that wait end with their deadline, in turn", async (t) => {
    const servers = await severalServers(t, 1, { maxConcurrentStreams: 2 });
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { connections: { max: 1 } },
    );
    await transport.ready();
    const held = Array.from({ length: 2 }, () => client.echo({ behaviour: { sleepMs: 300 } }));
    await failure(client.echo({}, { timeoutMs: 50 }), Code.DeadlineExceeded);
    assert.equal(transport.stats().cluster?.queued, 0);
    await Promise.all(held);
  });
});

describe("connections", () => {
  test("those of an age are replaced, and no call fails or waits", async (t) => {
    const servers = await severalServers(t, 1);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { connections: { maxAgeMs: 100 } },
    );
    await transport.ready();
    const load = new Load(4, () => client.echo({ behaviour: { sleepMs: 5 } }));
    await load.until(() => (servers[0]?.front.accepted ?? 0) >= 5);
    await load.stop();
    assert.deepEqual(load.errors, []);
    assert.ok((transport.stats().cluster?.connections ?? 0) <= 2);
  });

  test("without calls they are closed, and made again by the next call", async (t) => {
    const servers = await severalServers(t, 2);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { connections: { idleTimeoutMs: 50 } },
    );
    await client.echo({});
    // The timer of idle connections does not keep the process.
    await Promise.all([until(transport, () => transport.state === "idle"), pause(200)]);
    assert.deepEqual(transport.endpoints, []);
    await client.echo({ text: "again" });
    assert.equal(transport.state, "ready");
  });

  test("they are made for ready(), however long that waits", async (t) => {
    const servers = await severalServers(t, 1);
    const [server] = servers;
    await server?.front.kill();
    const { transport } = dialSeveral(t, [server?.address ?? ""], { connections: { idleTimeoutMs: 20 } });
    const ready = transport.ready();
    await until(transport, () => transport.state === "transient-failure");
    await pause(100); // Several times as long as connections may be idle.
    await server?.front.start();
    await ready;
  });

  test("after close() calls in flight are completed, new ones are UNAVAILABLE", async (t) => {
    const servers = await severalServers(t, 2);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
    );
    await transport.ready();
    const slow = client.echo({ text: "slow", behaviour: { sleepMs: 50 } });
    transport.close();
    await failure(client.echo({}), Code.Unavailable);
    assert.equal((await slow).text, "slow");
    assert.equal(transport.state, "closed");
    await failure(transport.ready(), Code.Unavailable);
  });
});
