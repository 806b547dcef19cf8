import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import type { DialedTransport, DialOptions } from "../../../src/core/dial.ts";
import { failure } from "../../support/failure.ts";
import { callsOf, dialSeveral, Load, until } from "../../support/several-servers.ts";
import { moodyServers, type MoodyServer } from "./moody-servers.ts";

const engines = ["own", "grpc-js"] as const;

function ejected(transport: DialedTransport): number {
  return transport.stats().endpoints.filter(({ load }) => (load?.ejectedForMs ?? 0) > 0).length;
}

/** A client that is connected to all servers. */
async function connected(
  t: Parameters<typeof dialSeveral>[0],
  servers: readonly MoodyServer[],
  options: Partial<DialOptions> = {},
) {
  const dialled = dialSeveral(
    t,
    servers.map(({ address }) => address),
    options,
  );
  await dialled.transport.ready();
  await until(dialled.transport, () => dialled.transport.stats().cluster?.connections === servers.length);
  return dialled;
}

for (const engine of engines) {
  describe(`ejection of servers (${engine})`, () => {
    test("one that fails every call gets no more after five, and its share again when it is back", async (t) => {
      const servers = await moodyServers(t, 3, { engine });
      const [bad] = servers;
      if (bad === undefined) assert.fail("no server");
      bad.mood = Code.Unavailable;
      const name = `ejection ${engine}`;
      const { client, transport } = await connected(t, servers, {
        name,
        balance: "round_robin",
        outlier: { baseMs: 150, returnMs: 500 },
      });
      const load = new Load(4, () => client.echo({ behaviour: { sleepMs: 1 } }));
      t.after(() => load.stop());
      await load.until(() => ejected(transport) === 1);
      // Those that were under way may fail, too.
      assert.ok(bad.failed >= 5 && bad.failed <= 8, `${bad.failed} calls`);
      const { load: figures } = transport.stats().endpoints[0] ?? {};
      assert.ok(figures !== undefined && figures.ejectedForMs > 0 && figures.ejectedForMs <= 150);
      const page = await new Metrics({ processMetrics: false }).page();
      for (const line of [
        `ts_ms_client_endpoints{upstream="${name}",state="ejected"} 1`,
        `ts_ms_client_endpoints{upstream="${name}",state="ready"} 2`,
        `ts_ms_client_ejections_total{upstream="${name}",reason="consecutive_failures"} 1`,
      ]) {
        assert.ok(page.includes(`${line}\n`), `${line}\nis not in\n${page}`);
      }
      bad.mood = undefined;
      await load.until(() => ejected(transport) === 0);
      const before = bad.echo.calls; // Of those that were on their way.
      await load.until(() => bad.echo.calls > before);
      const returned = transport.stats().endpoints[0]?.load;
      assert.equal(returned?.ejectedForMs, 0);
      assert.ok(returned.weight < 1, `a weight of ${returned.weight} at once`);
      await load.until(() => transport.stats().endpoints[0]?.load?.weight === 1);
      await load.stop();
      assert.equal(load.errors.length, bad.failed);
    });

    test("K10: of three that fail every call, two are ejected at any time", async (t) => {
      const servers = await moodyServers(t, 3, { engine });
      for (const server of servers) server.mood = Code.Unavailable;
      const { client, transport } = await connected(t, servers, {
        outlier: { maxEjectionPercent: 67, baseMs: 60, returnMs: 0 },
      });
      const seen = new Set<number>();
      let returns = 0;
      let before = 0;
      transport.onChange(() => {
        const now = ejected(transport);
        seen.add(now);
        if (now < before) returns++;
        before = now;
      });
      const load = new Load(4, () => client.echo({}));
      try {
        await until(transport, () => returns >= 4);
      } finally {
        await load.stop();
      }
      assert.equal(Math.max(...seen), 2);
      for (const { code } of load.errors) assert.equal(code, Code.Unavailable);
    });
  });
}

describe("who is not ejected", () => {
  const codes = [Code.Internal, Code.Unknown, Code.DataLoss, Code.ResourceExhausted, Code.NotFound];
  for (const code of codes) {
    test(`a server that answers ${Code[code]}`, async (t) => {
      const servers = await moodyServers(t, 2);
      const [bad] = servers;
      if (bad === undefined) assert.fail("no server");
      bad.mood = code;
      const { client, transport } = await connected(t, servers, { balance: "round_robin" });
      for (let call = 0; call < 40; call++) await client.echo({}).catch(() => {});
      assert.equal(bad.failed, 20);
      assert.equal(ejected(transport), 0);
    });
  }

  test("the only server, or the last of several", async (t) => {
    const servers = await moodyServers(t, 2);
    const [one, other] = servers;
    if (one === undefined || other === undefined) assert.fail("no server");
    const { client, transport } = await connected(t, servers, { outlier: { maxEjectionPercent: 100 } });
    await other.front.kill();
    await until(transport, () => transport.stats().endpoints[1]?.state !== "ready");
    one.mood = Code.Unavailable;
    for (let call = 0; call < 20; call++) await failure(client.echo({}), Code.Unavailable);
    assert.equal(one.failed, 20);
    assert.equal(ejected(transport), 0);
  });

  test("one of two by the percentage: half of them may be, two of three may not", async (t) => {
    const servers = await moodyServers(t, 3);
    for (const server of servers.slice(1)) server.mood = Code.Unavailable;
    const { client, transport } = await connected(t, servers, { balance: "round_robin" });
    for (let call = 0; call < 60; call++) await client.echo({}).catch(() => {});
    assert.equal(ejected(transport), 1);
  });

  test("with outlier false, nothing", async (t) => {
    const servers = await moodyServers(t, 2);
    const [bad] = servers;
    if (bad === undefined) assert.fail("no server");
    bad.mood = Code.Unavailable;
    const { client, transport } = await connected(t, servers, { balance: "round_robin", outlier: false });
    for (let call = 0; call < 40; call++) await client.echo({}).catch(() => {});
    assert.equal(bad.failed, 20);
    assert.equal(ejected(transport), 0);
  });

  test("K09: servers whose callers cancel, or have deadlines of 5 ms", async (t) => {
    const servers = await moodyServers(t, 2);
    const { client, transport } = await connected(t, servers);
    const cancelled = Array.from({ length: 1_000 }, async () => {
      const controller = new AbortController();
      const reply = client.echo({ behaviour: { sleepMs: 10_000 } }, { signal: controller.signal });
      setImmediate(() => controller.abort());
      await failure(reply, Code.Canceled);
    });
    const late = Array.from({ length: 1_000 }, () =>
      failure(client.echo({ behaviour: { sleepMs: 10_000 } }, { timeoutMs: 5 }), Code.DeadlineExceeded),
    );
    await Promise.all([...cancelled, ...late]);
    assert.equal(ejected(transport), 0);
    for (const { load } of transport.stats().endpoints) assert.equal(load?.failures, 0);
  });
});

describe("ejected servers", () => {
  test("are called if there are no others", async (t) => {
    const servers = await moodyServers(t, 2);
    const [bad, good] = servers;
    if (bad === undefined || good === undefined) assert.fail("no server");
    bad.mood = Code.Unavailable;
    const { client, transport } = await connected(t, servers, { balance: "round_robin" });
    const load = new Load(1, () => client.echo({}));
    t.after(() => load.stop());
    await load.until(() => ejected(transport) === 1);
    await load.stop();
    bad.mood = undefined;
    const before = good.echo.calls;
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.deepEqual(callsOf([bad, good]), [0, before + 10]);
    await good.front.kill();
    await until(transport, () => transport.stats().endpoints[1]?.state !== "ready");
    assert.equal(transport.state, "ready");
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.equal(bad.echo.calls, 10);
    assert.equal(ejected(transport), 1);
  });

  test("one that loses its connections again and again is ejected, for each loss counts once", async (t) => {
    const servers = await moodyServers(t, 3);
    const [lost] = servers;
    if (lost === undefined) assert.fail("no server");
    const { client, transport } = await connected(t, servers, { balance: "round_robin" });
    for (let kills = 1; kills <= 5; kills++) {
      const before = lost.echo.calls;
      const slow = Array.from({ length: 18 }, () =>
        client.echo({ behaviour: { sleepMs: 200 } }).catch(() => {}),
      );
      await lost.echo.until(({ calls }) => calls >= before + 6);
      await lost.front.kill();
      await Promise.all(slow);
      assert.equal(transport.stats().endpoints[0]?.load?.failures, 6 * kills);
      assert.equal(ejected(transport), kills === 5 ? 1 : 0, `after ${kills}`);
      await lost.front.start();
      if (kills < 5) await until(transport, () => transport.stats().endpoints[0]?.state === "ready");
    }
  });
});
