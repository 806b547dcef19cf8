import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import { dial, type DialTarget } from "../../../src/core/dial.ts";
import { all, failure, isImmediate } from "../../support/failure.ts";
import { authority, serverCertificate } from "../../support/transport-rig.ts";
import {
  callsOf,
  dialSeveral,
  Load,
  ScriptedResolver,
  severalServers,
  until,
} from "../../support/several-servers.ts";

describe("a list of servers", () => {
  test("all of them get calls, of every kind", async (t) => {
    const servers = await severalServers(t, 3);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
    );
    assert.deepEqual(transport.endpoints, []);
    assert.equal(transport.state, "idle");
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    for (let call = 0; call < 90; call++) assert.equal((await client.echo({ text: "one" })).text, "one");
    for (const calls of callsOf(servers)) assert.ok(calls > 5, `only ${calls} calls`);
    assert.equal((await all(client.repeat({ text: "many", count: 3 }))).length, 3);
    const stats = transport.stats();
    assert.equal(stats.cluster?.calls, 91);
    assert.equal(stats.cluster.name, "list");
    assert.deepEqual(
      stats.endpoints.map(({ address, state, load }) => [address, state, load?.inFlight, load?.failures]),
      servers.map(({ address }) => [address, "ready", 0, 0]),
    );
    assert.deepEqual(
      transport.endpoints.map(({ address }) => address),
      servers.map(({ address }) => address),
    );
  });

  // By p2c the lag decides, too: its shares are those of the simulation.
  for (const balance of ["round_robin", "random", "least_request"] as const) {
    test(`weights are honoured by ${balance}, and one of 0 gets no call`, async (t) => {
      const servers = await severalServers(t, 3);
      const [one, two, none] = servers.map(({ address }) => address);
      const { client, transport } = dialSeveral(
        t,
        [
          { address: one ?? "", weight: 1 },
          { address: two ?? "", weight: 4 },
          { address: none ?? "", weight: 0 },
        ],
        { balance },
      );
      await transport.ready();
      await until(transport, () => transport.stats().cluster?.connections === 2);
      for (let call = 0; call < 400; call++) await client.echo({});
      const [first = 0, second = 0, third] = callsOf(servers);
      assert.equal(third, 0);
      assert.ok(second > 2 * first && first > 20, `${first} and ${second}`);
    });
  }

  test("pick_first uses the first, and the next when that is killed", async (t) => {
    const servers = await severalServers(t, 3);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { balance: "pick_first" },
    );
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [10, 0, 0]);
    assert.deepEqual(
      servers.map(({ front }) => front.accepted),
      [1, 0, 0],
    );
    await servers[0]?.front.kill();
    await until(transport, () => transport.stats().endpoints[0]?.state !== "ready");
    for (let call = 0; call < 10; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [10, 10, 0]);
  });

  test("all of them are verified by one name", async (t) => {
    const servers = await severalServers(t, 2, {
      tls: { cert: serverCertificate.cert, key: serverCertificate.key },
    });
    const addresses = servers.map(({ address }) => address);
    const ca = authority.cert;
    const { client } = dialSeveral(t, addresses, { tls: { ca, serverName: "localhost" } });
    assert.equal((await client.echo({ text: "verified" })).text, "verified");
    const other = dialSeveral(t, addresses, { tls: { ca, serverName: "elsewhere" } });
    const error = await failure(other.client.echo({}), Code.Unavailable);
    assert.match(String(error.cause), /certificate/);
  });

  test("one server with options for several is a list of one", async (t) => {
    const [server] = await severalServers(t, 1);
    const { client, transport } = dialSeveral(t, server?.address ?? "", { name: "echo" });
    await client.echo({});
    assert.equal(transport.stats().cluster?.name, "echo");
  });
});

describe("servers that cannot be reached", () => {
  test("none: UNAVAILABLE at once, in words without addresses, and found as soon as one is back", async (t) => {
    const servers = await severalServers(t, 3);
    for (const { front } of servers) await front.kill();
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
      { name: "users" },
    );
    const error = await failure(client.echo({}), Code.Unavailable);
    assert.equal(error.rawMessage, "users: none of 3 endpoints is reachable");
    assert.match(String(error.cause), /127\.0\.0\.1:\d+: .*; 127/);
    assert.equal(transport.state, "transient-failure");
    // A call amid the next attempt to connect waits for its end: on a busy machine the pause before it may be over.
    let wasImmediate = false;
    for (let tries = 0; tries < 10 && !wasImmediate; tries++) {
      await until(transport, () => transport.state === "transient-failure");
      wasImmediate = await isImmediate(failure(client.echo({}), Code.Unavailable));
    }
    assert.ok(wasImmediate);
    await servers[1]?.front.start();
    await transport.ready();
    await client.echo({});
  });

  test("a call that waits for one that hangs goes to another, and counts one attempt", async (t) => {
    const servers = await severalServers(t, 1);
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => silent.close());
    const { port } = silent.address() as AddressInfo; // Of a TCP server.
    const { client, transport } = dialSeveral(t, [`127.0.0.1:${port}`, servers[0]?.address ?? ""]);
    assert.equal((await client.echo({ text: "elsewhere" }, { timeoutMs: 5_000 })).text, "elsewhere");
    assert.equal(transport.stats().cluster?.calls, 1);
  });

  test("D07: a server that is killed under load costs its calls in flight and no others", async (t) => {
    const servers = await severalServers(t, 3);
    const { client, transport } = dialSeveral(
      t,
      servers.map(({ address }) => address),
    );
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    const load = new Load(8, () => client.echo({ behaviour: { sleepMs: 5 } }, { timeoutMs: 5_000 }));
    await load.until(() => load.done >= 200);
    await servers[0]?.front.kill();
    const atKill = load.done;
    await load.until(() => load.done >= atKill + 400);
    const { length: lost } = load.errors;
    assert.ok(lost <= 8, `${lost} calls lost`); // No more than were in flight.
    for (const { code } of load.errors) assert.equal(code, Code.Unavailable);
    await servers[0]?.front.start();
    const began = performance.now();
    const before = servers[0]?.echo.calls ?? 0;
    await load.until(() => (servers[0]?.echo.calls ?? 0) > before);
    assert.ok(performance.now() - began < 10_000, "back in rotation too late");
    await load.stop();
    assert.equal(load.errors.length, lost);
  });
});

describe("a resolver", () => {
  test("calls wait for its first answer, until their deadline", async (t) => {
    const servers = await severalServers(t, 1);
    const resolver = new ScriptedResolver();
    const { client, transport } = dialSeveral(t, resolver);
    const reply = client.echo({ text: "found" });
    await resolver.watched;
    await failure(client.echo({}, { timeoutMs: 30 }), Code.DeadlineExceeded);
    assert.equal(transport.state, "connecting");
    resolver.update(servers[0]?.address ?? "");
    assert.equal((await reply).text, "found");
  });

  test("one that finds nothing: UNAVAILABLE at once, with what it says", async (t) => {
    const resolver = new ScriptedResolver();
    const { client } = dialSeveral(t, resolver, { name: "users" });
    const early = client.echo({});
    await resolver.watched;
    resolver.update();
    const none = await failure(early, Code.Unavailable);
    assert.equal(none.rawMessage, "users: no endpoint (script: 0 instances)");
    await failure(client.echo({}), Code.Unavailable);
  });

  test("D08: of a new list, what stays keeps its connection, and what goes ends its calls", async (t) => {
    const servers = await severalServers(t, 3);
    const [one = "", two = "", three = ""] = servers.map(({ address }) => address);
    const resolver = new ScriptedResolver();
    const { client, transport } = dialSeveral(t, resolver, { balance: "round_robin" });
    const first = client.echo({});
    await resolver.watched;
    resolver.update(one, two);
    await first;
    await until(transport, () => transport.stats().cluster?.connections === 2);
    const slow = [1, 2].map(() => client.echo({ text: "slow", behaviour: { sleepMs: 100 } }));
    await Promise.all(servers.slice(0, 2).map(({ echo }) => echo.until(({ calls }) => calls > 0)));
    resolver.update({ address: three }, { address: two, weight: 3 }, { address: two });
    await until(transport, () => transport.stats().endpoints.every(({ state }) => state === "ready"));
    for (const { text } of await Promise.all(slow)) assert.equal(text, "slow");
    const before = servers[0]?.echo.calls;
    for (let call = 0; call < 40; call++) await client.echo({});
    assert.equal(servers[0]?.echo.calls, before);
    assert.deepEqual(
      servers.map(({ front }) => front.accepted),
      [1, 1, 1],
    );
    assert.deepEqual(transport.endpoints.map(({ address }) => address).toSorted(), [two, three].toSorted());
    assert.equal(servers[2]?.echo.calls, 10);
  });
});

describe("what is wrong is refused by dial", () => {
  const wrong: readonly (readonly [string, unknown, object, RegExp])[] = [
    ["no endpoint", [], {}, /must have one at least/],
    ["a number", [42_001], {}, /an endpoint is an address such as "10\.0\.0\.1:42001".*: not 42001/],
    ["a URL", ["http://users:42001"], {}, /cannot dial "http:\/\/users:42001"/],
    [
      "a negative weight",
      [{ address: "a:1", weight: -1 }],
      {},
      /the weight of a:1 must be a number from 0, not -1/,
    ],
    ["an unknown policy", ["a:1"], { balance: "p2" }, /must be one of p2c, .*, not 'p2'; did you mean p2c/],
    [
      "choices of another policy",
      ["a:1"],
      { balance: { policy: "p2c", choices: 3 } },
      /has no choices for p2c/,
    ],
    [
      "too many choices",
      ["a:1"],
      { balance: { policy: "least_request", choices: 11 } },
      /from 2 to 10, not 11/,
    ],
    ["an unknown option", ["a:1"], { connections: { most: 3 } }, /no option connections\.most/],
    [
      "no connection",
      ["a:1"],
      { connections: { max: 0 } },
      /connections\.max must be a whole number from 1, not 0/,
    ],
    ["an empty name", ["a:1"], { name: "" }, /name must be a text/],
    ["TLS without a name", ["a:1", "b:1"], { tls: true }, /tls for several endpoints needs tls\.serverName/],
    [
      "no target",
      undefined,
      {},
      /dial takes a GrpcServer .* a list of such targets or a resolver, not undefined/,
    ],
  ];
  for (const [what, target, options, text] of wrong) {
    test(what, () => {
      assert.throws(
        () => dial(target as DialTarget, options), // As callers without types do.
        (error: Error) => error instanceof TypeError && text.test(error.message),
      );
    });
  }
});
