import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { toInvoker } from "../../../src/core/call/transport.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { route } from "../../../src/core/traffic/route.ts";
import { split } from "../../../src/core/traffic/split.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { all, each, failure } from "../../support/failure.ts";
import { callsOf, counts, numbers, upstreams } from "./traffic-fixture.ts";
import type { Transport } from "@connectrpc/connect";
import type { TestContext } from "node:test";
import { SocketClient } from "../websocket/socket-client.ts";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";

async function gatewayTo(
  t: TestContext,
  upstream: Transport,
  options: Partial<HttpServerOptions> = {},
): Promise<string> {
  const http = new HttpServer({ upstream, port: 0, logger: false, ...options }).addService(EchoService);
  await http.start();
  t.after(() => http.gracefulStop({ graceMs: 0 }));
  return `http://127.0.0.1:${http.address?.port}`;
}

describe("split", () => {
  for (const network of [true, false]) {
    test(`divides calls of every kind by weight, ${network ? "over the network" : "in process"}`, async (t) => {
      const [one, two] = await upstreams(t, 2, network);
      assert.ok(one !== undefined && two !== undefined);
      // Of the scale from 0 to 1 the first side has the upper 3/4.
      const name = `by weight ${network}`;
      const transport = split(
        [
          { to: one.transport, weight: 3, name: "one" },
          { to: two.transport, weight: 1, name: "two" },
        ],
        { random: numbers(0, 0.2499, 0.25, 0.9999), name },
      );
      const client = createClient(EchoService, transport);
      assert.equal((await client.echo({ text: "a" })).text, "a");
      assert.equal((await all(client.repeat({ text: "b", count: 2 }))).length, 2);
      assert.deepEqual((await client.collect(each({ text: "c" }, { text: "d" }))).texts, ["c", "d"]);
      assert.equal((await all(client.chat(each({ text: "e" })))).length, 1);
      assert.deepEqual(callsOf([one, two]), [2, 2]);
      assert.deepEqual(counts("splits", name), { "one weight": 2, "two weight": 2 });
    });
  }

  test("keeps calls in binary form where a side has them", async (t) => {
    const [one] = await upstreams(t, 1);
    const [two] = await upstreams(t, 1, false);
    assert.ok(one !== undefined && two !== undefined);
    const sides = [one.transport, two.transport].map((to) => ({ to, weight: 1 }));
    assert.ok(toInvoker(split(sides.slice(0, 1))).unaryBytes !== undefined);
    assert.ok(toInvoker(split(sides.slice(1))).unaryBytes === undefined);
    const mixed = split(sides, { random: numbers(0.9, 0.1) });
    assert.ok(toInvoker(mixed).streamBytes !== undefined);
    const url = await gatewayTo(t, mixed);
    for (const path of ["echo/a", "echo/b", "repeat/c?count=2", "repeat/d?count=2"]) {
      const response = await fetch(`${url}/test/v1/${path}`);
      assert.equal(response.status, 200, path);
      await response.text();
    }
    assert.deepEqual(callsOf([one, two]), [2, 2]);
  });

  test("asks tests of headers and cookies first, forwarded or not", async (t) => {
    const all = await upstreams(t, 3);
    const [one, two, three] = all;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const transport = split(
      [
        { to: one.transport, weight: 1, name: "one" },
        { to: two.transport, weight: 0, name: "two" },
        { to: three.transport, weight: 0, name: "three" },
      ],
      {
        name: "tests",
        when: [
          { header: "X-Canary", is: "always", to: two.transport },
          { cookie: "beta", is: "1", to: two.transport },
          { header: "user-agent", prefix: "robot/", to: three.transport },
          { cookie: "group", oneOf: ["a", "b"], to: three.transport },
          { header: "x-debug", present: true, to: three.transport },
        ],
      },
    );
    const url = await gatewayTo(t, transport);
    const rest = async (headers: Record<string, string>): Promise<void> => {
      await (await fetch(`${url}/test/v1/echo/a`, { headers })).text();
    };
    await rest({});
    await rest({ "x-canary": "Always", cookie: "beta=2; Beta=1" });
    assert.deepEqual(callsOf(all), [2, 0, 0]);
    await rest({ "x-canary": "always" });
    await rest({ cookie: 'a=b; beta="1"' });
    assert.deepEqual(callsOf(all), [2, 2, 0]);
    await rest({ "user-agent": "robot/1" });
    await rest({ cookie: "group=b" });
    await rest({ "x-debug": "" });
    assert.deepEqual(callsOf(all), [2, 2, 3]);
    // Metadata of a call without a request of HTTP.
    await createClient(EchoService, transport).echo({}, { headers: { "x-canary": "always" } });
    assert.deepEqual(callsOf(all), [2, 3, 3]);
    const socket = new SocketClient(`${url.replace("http", "ws")}/test/v1/repeat/x?count=1`, [], {
      headers: { "x-debug": "1" },
    });
    await socket.closed;
    assert.deepEqual(callsOf(all), [2, 3, 4]);
    assert.deepEqual(counts("splits", "tests"), { "one weight": 2, "two when": 3, "three when": 4 });
  });

  test("K15 a caller stays on its side while weights go up and down, at two gateways", async (t) => {
    const [one, two] = await upstreams(t, 2);
    assert.ok(one !== undefined && two !== undefined);
    const gateway = async (weight: number): Promise<string> =>
      gatewayTo(
        t,
        split(
          [
            { to: one.transport, weight: 100 - weight },
            { to: two.transport, weight },
          ],
          { sticky: { cookie: "side" }, name: "K15" },
        ),
      );
    const weights = [5, 20, 0];
    const urls = await Promise.all(
      weights.map(async (weight) => [await gateway(weight), await gateway(weight)]),
    );
    const sideAt = async (url: string | undefined, cookie: string): Promise<"one" | "two"> => {
      const before = two.echo.calls;
      const response = await fetch(`${url}/test/v1/echo/a`, { headers: { cookie } });
      assert.deepEqual(response.headers.getSetCookie(), []);
      await response.text();
      return two.echo.calls > before ? "two" : "one";
    };
    const seen = new Map<string, number>();
    for (let place = 0; place < 10_000; place += 97) {
      const sides: string[] = [];
      for (const [first, second] of urls) {
        const side = await sideAt(first, `side=${place}`);
        assert.equal(await sideAt(second, `side=${place}`), side, "both gateways agree");
        sides.push(side);
      }
      const path = sides.join(" ");
      seen.set(path, (seen.get(path) ?? 0) + 1);
    }
    // Nobody leaves the second side while its weight grows, or comes to it while it falls.
    assert.deepEqual([...seen.keys()].toSorted(), ["one one one", "one two one", "two two one"]);
    assert.equal(seen.get("two two one"), 6); // 0 to 499.
    assert.equal(seen.get("one two one"), 15); // 500 to 1999.
  });

  test("the cookie is set on HTTP answers of every door, also of errors and streams, and replaced if unreadable", async (t) => {
    const [one] = await upstreams(t, 1);
    assert.ok(one !== undefined);
    const transport = split([{ to: one.transport, weight: 1 }], {
      sticky: { cookie: "ts-ms-side", maxAgeMs: 60_000 },
      random: () => 0.4711,
    });
    const expected = ["ts-ms-side=4711; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"];
    for (const options of [{}, { compression: true, corsOrigins: ["https://a.example"] }] as const) {
      const url = await gatewayTo(t, transport, options);
      const cookies = async (path: string, init: RequestInit = {}): Promise<readonly string[]> => {
        const response = await fetch(url + path, init);
        await response.text();
        return response.headers.getSetCookie();
      };
      const json = { method: "POST", headers: { "content-type": "application/json" } };
      const failing = JSON.stringify({ behaviour: { failure: { code: 5 } } });
      const own = JSON.stringify({ behaviour: { headers: { "set-cookie": "a=b" } } });
      assert.deepEqual(await cookies("/test/v1/echo/a"), expected);
      assert.deepEqual(await cookies("/test/v1/echo", { ...json, body: failing }), expected);
      assert.deepEqual(await cookies("/test/v1/echo", { ...json, body: own }), ["a=b", ...expected]);
      assert.deepEqual(await cookies("/test/v1/repeat/a?count=1"), expected);
      assert.deepEqual(
        await cookies("/test/v1/repeat/a?count=1", { headers: { accept: "text/event-stream" } }),
        expected,
      );
      for (const value of ["10000", "-1", "01", "x", ""]) {
        assert.deepEqual(
          await cookies("/test/v1/echo/a", { headers: { cookie: `ts-ms-side=${value}` } }),
          expected,
        );
      }
      assert.deepEqual(await cookies("/test/v1/echo/a", { headers: { cookie: "ts-ms-side=0" } }), []);
      const byConnect = { baseUrl: url, httpVersion: "1.1" } as const;
      for (const client of [createConnectTransport(byConnect), createGrpcWebTransport(byConnect)]) {
        for (const code of [0, 5]) {
          const headers: Headers[] = [];
          const keep = (header: Headers): void => void headers.push(header);
          const call = createClient(EchoService, client);
          const behaviour = code === 0 ? {} : { failure: { code } };
          const error = await call.echo({ behaviour }, { onHeader: keep }).then(
            () => undefined,
            (reason: unknown) => reason as { metadata: Headers },
          );
          assert.deepEqual((error?.metadata ?? headers[0])?.getSetCookie(), expected);
        }
      }
      const headers: Headers[] = [];
      const grpc = createGrpcTransport({ baseUrl: url });
      await createClient(EchoService, grpc).echo({}, { onHeader: (header) => headers.push(header) });
      assert.deepEqual(headers[0]?.getSetCookie(), [], "gRPC has no cookies");
    }
  });

  test("a header places callers as well, the same in every process", async (t) => {
    const [one, two] = await upstreams(t, 2);
    assert.ok(one !== undefined && two !== undefined);
    const transport = split(
      [
        { to: one.transport, weight: 1 },
        { to: two.transport, weight: 1 },
      ],
      { sticky: { header: "X-User" }, name: "header" },
    );
    const client = createClient(EchoService, transport);
    for (let round = 0; round < 2; round++) {
      for (let user = 0; user < 100; user++) {
        await client.echo({}, { headers: { "x-user": `user ${user}` } });
      }
    }
    const [first = 0, second = 0] = callsOf([one, two]);
    assert.deepEqual([first, second], [90, 110], "a hash that changes moves all callers of an upgrade");
    assert.deepEqual(counts("splits", "header"), { "side 1 sticky": first, "side 2 sticky": second });
  });

  test("a side that cannot be reached passes its calls to the first one, until it is back", async (t) => {
    const [one, two] = await upstreams(t, 2);
    assert.ok(one !== undefined && two !== undefined);
    const away = dial([two.address]);
    t.after(() => away.close());
    await two.server.gracefulStop({ graceMs: 0 });
    const sides = [
      { to: one.transport, weight: 0, name: "one" },
      { to: away, weight: 1, name: "two" },
    ];
    const strict = createClient(EchoService, split(sides, { fallback: false, name: "strict" }));
    await failure(strict.echo({}), Code.Unavailable);
    assert.equal(away.state, "transient-failure");
    await failure(strict.echo({}), Code.Unavailable);
    const client = createClient(EchoService, split(sides, { name: "fallback" }));
    await client.echo({});
    assert.deepEqual(callsOf([one, two]), [1, 0]);
    assert.deepEqual(counts("splits", "fallback"), { "one fallback": 1 });
  });

  test("wrong sides and tests are refused by name", async (t) => {
    const [one, two] = await upstreams(t, 2, false);
    assert.ok(one !== undefined && two !== undefined);
    const to = one.transport;
    const sides = [{ to, weight: 1 }];
    assert.throws(() => split([]), /^TypeError: split: the weights sum to 0$/);
    assert.throws(() => split([{ to, weight: 0 }]), /the weights sum to 0/);
    assert.throws(() => split([{ to, weight: -1 }]), /the weight of side 1 must be a number from 0, not -1/);
    assert.throws(() => split([...sides, ...sides]), /side 2 is there already/);
    assert.throws(
      () => split([{ to: "v1" as never, weight: 1 }]),
      /to of side 1 must be a transport, not 'v1'/,
    );
    const when =
      (test: object): (() => unknown) =>
      () =>
        split(sides, { when: [{ to, ...test }] });
    assert.throws(
      when({ to: two.transport, header: "a", is: "b" }),
      /when\[0\]: to must be one of the sides/,
    );
    assert.throws(when({ is: "b" }), /when\[0\]: give a header or a cookie/);
    assert.throws(when({ header: "a", cookie: "a", is: "b" }), /give a header or a cookie/);
    assert.throws(when({ header: "a b", is: "b" }), /'a b' is no name of a header/);
    assert.throws(when({ header: "a" }), /give one of is, prefix, oneOf, present/);
    assert.throws(when({ header: "a", is: "b", prefix: "b" }), /give one of is, prefix, oneOf, present/);
    assert.throws(when({ header: "a", regex: "b" }), /there is no regex/);
    assert.throws(when({ header: "a", oneOf: [] }), /oneOf must be a list of texts/);
    assert.throws(() => split(sides, { sticky: {} }), /sticky: give a header or a cookie/);
    assert.throws(
      () => split(sides, { sticky: { cookie: "a", maxAgeMs: 1 } }),
      /maxAgeMs must be a number from 1000/,
    );
    assert.throws(() => split(sides, { stikcy: {} } as never), /did you mean sticky\?/);
  });
});

describe("route", () => {
  test("chooses by the most exact name, and refuses what has none", async (t) => {
    const all = await upstreams(t, 3);
    const [one, two, three] = all;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const client = createClient(
      EchoService,
      route({
        "tsms.*": one.transport,
        "tsms.test.v1.EchoService/Echo, tsms.test.v1.EchoService.Chat": two.transport,
        "tsms.test.v1.EchoService/*": three.transport,
      }),
    );
    await client.echo({});
    await client.collect(each({ text: "a" }));
    assert.deepEqual(callsOf(all), [0, 1, 1]);
    const health = createClient(Health, route({ "tsms.*": one.transport }));
    const error = await failure(health.check({}), Code.Unimplemented);
    assert.match(error.message, /grpc\.health\.v1\.Health\/Check has no route here/);
  });

  test("wrong names and values are refused", () => {
    assert.throws(() => route({}), /route: give transports by selectors, not \{\}/);
    assert.throws(() => route({ "a b": dial("localhost:1") }), /selector "a b"/);
    assert.throws(() => route({ "a.*": "localhost:1" as never }), /route: a\.\* must be a transport/);
  });
});
