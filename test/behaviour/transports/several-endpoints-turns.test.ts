import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { dialSeveral, severalServers, until } from "../../support/several-servers.ts";

suite("the turns of endpoints and calls", () => {
  test("clients connect to all endpoints, each in an order by chance", async (t) => {
    const servers = await severalServers(t, 6);
    const addresses = servers.map(({ address }) => address);
    const orders: string[] = [];
    for (let round = 0; round < 4; round++) {
      const order: number[] = [];
      for (const [index, { front }] of servers.entries()) {
        front.lifeMs = () => {
          order.push(index);
          return 60_000;
        };
      }
      const { transport } = dialSeveral(t, addresses, { connections: { atOnce: 1 } });
      await transport.ready();
      await until(transport, () => transport.stats().cluster?.connections === 6);
      assert.deepEqual(
        order.toSorted((one, other) => one - other),
        [0, 1, 2, 3, 4, 5],
      );
      orders.push(order.join());
      transport.close();
    }
    assert.ok(new Set(orders).size > 1, `always ${orders[0]}`);
  });

  test("a call never waits for a stream on one endpoint while another one has room (gRFC A105)", async (t) => {
    const servers = await severalServers(t, 2, { maxConcurrentStreams: 2 }); // They announce four.
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { connections: { max: 1 }, balance: "random" },
    );
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    await client.echo({}); // The settings of the servers have come.
    const held = new AbortController();
    const slow = { behaviour: { sleepMs: 60_000 } };
    const calls = Array.from({ length: 8 }, () => client.echo(slow, { signal: held.signal }).catch(() => {}));
    const inFlight = () => transport.stats().endpoints.map(({ load }) => load?.inFlight ?? 0);
    while (inFlight().reduce((sum, count) => sum + count) < 8) await new Promise(setImmediate);
    assert.equal(transport.stats().cluster?.queued, 0);
    assert.deepEqual(inFlight(), [4, 4]);
    // All are full now, and a further one waits.
    const waits = client.echo({ text: "waited" });
    while (transport.stats().cluster?.queued === 0) await new Promise(setImmediate);
    held.abort();
    assert.equal((await waits).text, "waited");
    await Promise.all(calls);
  });

  test("calls that wait for a stream get it first come, first served", async (t) => {
    const servers = await severalServers(t, 1, { maxConcurrentStreams: 1 });
    const { client, transport } = dialSeveral(t, [servers[0]?.address ?? ""], { connections: { max: 1 } });
    await transport.ready();
    await client.echo({});
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, call) => {
        await client.echo({ behaviour: { sleepMs: call === 0 ? 20 : 0 } });
        order.push(call);
      }),
    );
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, call) => call),
    );
  });
});
