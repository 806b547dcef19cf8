import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import type { Transport } from "@connectrpc/connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { toInvoker } from "../../../src/core/call/transport.ts";
import { Code, toCallError } from "../../../src/core/errors/errors.ts";
import type { FaultInit } from "../../../src/core/traffic/fault-options.ts";
import { faults } from "../../../src/core/traffic/faults.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { all, each, failure } from "../../support/failure.ts";
import { counts, eventually, numbers, upstreams } from "./traffic-fixture.ts";

async function gatewayTo(
  t: TestContext,
  upstream: Transport,
  options: Partial<HttpServerOptions> = {},
): Promise<{ readonly http: HttpServer; readonly url: string }> {
  const http = new HttpServer({ upstream, port: 0, logger: false, ...options }).addService(EchoService);
  await http.start();
  t.after(() => http.gracefulStop({ graceMs: 0 }));
  return { http, url: `http://127.0.0.1:${http.address?.port}` };
}

describe("faults", () => {
  for (const network of [true, false]) {
    test(`an error takes the place of calls of every kind, ${network ? "over the network" : "in process"}`, async (t) => {
      const [one] = await upstreams(t, 1, network);
      assert.ok(one !== undefined);
      const name = `abort ${network}`;
      const list = [{ percent: 50, abort: Code.ResourceExhausted, message: "drill" }];
      const transport = faults(one.transport, list, { name, random: numbers(0.4999, 0.5) });
      assert.equal(toInvoker(transport).unaryBytes !== undefined, network);
      const client = createClient(EchoService, transport);
      const twice = async (call: () => Promise<unknown>): Promise<void> => {
        assert.match((await failure(call(), Code.ResourceExhausted)).message, /drill/);
        await call();
      };
      await twice(() => client.echo({}));
      await twice(() => all(client.repeat({ count: 1 })));
      await twice(() => client.collect(each({ text: "a" })));
      await twice(() => all(client.chat(each({ text: "a" }))));
      assert.equal(one.echo.calls, 4);
      assert.deepEqual(counts("faults", name), { abort: 4 });
    });
  }

  test("a delay ends with the caller's deadline and cancellation, and with its time", async (t) => {
    const [one] = await upstreams(t, 1);
    assert.ok(one !== undefined);
    const slow = (delayMs: number): ReturnType<typeof createClient<typeof EchoService>> =>
      createClient(EchoService, faults(one.transport, [{ percent: 100, delayMs }], { name: "delay" }));
    await failure(slow(60_000).echo({}, { timeoutMs: 20 }), Code.DeadlineExceeded);
    await failure(all(slow(60_000).repeat({ count: 1 }, { timeoutMs: 20 })), Code.DeadlineExceeded);
    const controller = new AbortController();
    const cancelled = slow(60_000).echo({}, { signal: controller.signal });
    controller.abort();
    await failure(cancelled, Code.Canceled);
    assert.equal(one.echo.calls, 0);
    const began = performance.now();
    await slow(30).echo({});
    assert.equal((await all(slow(30).repeat({ count: 2 }))).length, 2);
    assert.ok(performance.now() - began >= 58);
    assert.equal(one.echo.calls, 2);
    assert.deepEqual(counts("faults", "delay"), { delay: 5 });
  });

  test("a delay ends when the server stops, and the call is made", async (t) => {
    const [one] = await upstreams(t, 1);
    assert.ok(one !== undefined);
    for (const interceptors of [
      [],
      [(next: (request: never) => never) => (request: never) => next(request)],
    ]) {
      const upstream = faults(one.transport, [{ percent: 100, delayMs: 60_000 }], { name: "drain" });
      const before = counts("faults", "drain")["delay"] ?? 0;
      const { http, url } = await gatewayTo(t, upstream, { interceptors: interceptors as never });
      const response = fetch(`${url}/test/v1/echo/a`);
      await eventually(() => (counts("faults", "drain")["delay"] ?? 0) > before);
      const report = await http.gracefulStop();
      assert.deepEqual(report.cut, []);
      assert.equal((await response).status, 200);
    }
    assert.equal(one.echo.calls, 2);
  });

  test("delay and error have their own chances, and apply together", async (t) => {
    const [one] = await upstreams(t, 1, false);
    assert.ok(one !== undefined);
    const list: FaultInit[] = [
      { percent: 10, delayMs: 20 },
      { percent: 10, abort: Code.Unavailable },
    ];
    // Two numbers for each call.
    const random = numbers(0.5, 0.5, 0.05, 0.5, 0.5, 0.05, 0.05, 0.05);
    const client = createClient(EchoService, faults(one.transport, list, { name: "both", random }));
    const times: number[] = [];
    const codes: (Code | undefined)[] = [];
    for (let call = 0; call < 4; call++) {
      const began = performance.now();
      codes.push(
        await client.echo({}).then(
          () => undefined,
          (error: unknown) => toCallError(error).code,
        ),
      );
      times.push(performance.now() - began);
    }
    assert.deepEqual(codes, [undefined, undefined, Code.Unavailable, Code.Unavailable]);
    assert.ok((times[1] ?? 0) >= 19 && (times[3] ?? 0) >= 19, times.join());
    assert.deepEqual(counts("faults", "both"), { delay: 2, abort: 2 });
  });

  test("only some rpcs and callers get them, health checks never, and so many at a time", async (t) => {
    const [one] = await upstreams(t, 1);
    assert.ok(one !== undefined);
    const abort = Code.Unavailable;
    const of = (fault: Partial<FaultInit>): Transport =>
      faults(one.transport, [{ percent: 100, abort, ...fault }]);
    const some = createClient(EchoService, of({ methods: "tsms.test.v1.EchoService/Repeat" }));
    await some.echo({});
    await failure(all(some.repeat({})), abort);
    const callers = createClient(EchoService, of({ when: [{ header: "x-drill", present: true }] }));
    await callers.echo({});
    await failure(callers.echo({}, { headers: { "x-drill": "" } }), abort);
    assert.equal((await createClient(Health, of({})).check({})).status, 1);

    const held = createClient(
      EchoService,
      faults(one.transport, [{ percent: 100, delayMs: 60_000, maxActive: 2 }], { name: "held" }),
    );
    const controller = new AbortController();
    const waiting = [1, 2].map(() => failure(held.echo({}, { signal: controller.signal }), Code.Canceled));
    await eventually(() => counts("faults", "held")["delay"] === 2);
    await held.echo({});
    controller.abort();
    await Promise.all(waiting);
    await failure(held.echo({}, { timeoutMs: 10 }), Code.DeadlineExceeded);
  });

  test("Envoy's headers choose values up to the percentages where they are allowed, and go no further", async (t) => {
    const [one] = await upstreams(t, 1);
    assert.ok(one !== undefined);
    const allowed = faults(one.transport, [{ percent: 50, allowHeaders: true }], { random: () => 0.2 });
    const { url } = await gatewayTo(t, allowed);
    const status = async (headers: Record<string, string>): Promise<number> => {
      const response = await fetch(`${url}/test/v1/echo/a`, { headers });
      await response.text();
      return response.status;
    };
    assert.equal(await status({}), 200);
    assert.equal(await status({ "x-envoy-fault-abort-request": "404" }), 404);
    assert.equal(await status({ "x-envoy-fault-abort-grpc-request": "8" }), 429);
    const percent = "x-envoy-fault-abort-request-percentage";
    assert.equal(await status({ "x-envoy-fault-abort-request": "404", [percent]: "19" }), 200);
    assert.equal(await status({ "x-envoy-fault-abort-request": "404", [percent]: "100" }), 404);
    assert.equal(await status({ "x-envoy-fault-abort-request": "nan" }), 200);
    const began = performance.now();
    assert.equal(await status({ "x-envoy-fault-delay-request": "30" }), 200);
    assert.ok(performance.now() - began >= 29);

    const orders = {
      "x-envoy-fault-abort-request": "404",
      "X-Envoy-Fault-Delay-Request": "60000",
      "x-other": "a",
    };
    const list: readonly FaultInit[][] = [
      [{ percent: 0, allowHeaders: true }],
      [{ percent: 0, abort: Code.Aborted }],
    ];
    for (const upstream of [one.transport, ...list.map((fault) => faults(one.transport, fault))]) {
      const gateway = await gatewayTo(t, upstream);
      const response = await fetch(`${gateway.url}/tsms.test.v1.EchoService/Echo`, {
        method: "POST",
        headers: { ...orders, "content-type": "application/json", "connect-protocol-version": "1" },
        body: "{}",
      });
      const { headers } = (await response.json()) as { headers: Record<string, string> };
      assert.deepEqual(
        Object.keys(headers).filter((name) => name.startsWith("x-envoy")),
        [],
      );
      assert.equal(headers["x-other"], "a");
      if (upstream === one.transport) continue; // A call of this process' own has no gateway before it.
      const own = await createClient(EchoService, upstream).echo({}, { headers: orders });
      assert.deepEqual(
        Object.keys(own.headers).filter((name) => name.startsWith("x-envoy")),
        [],
      );
    }
  });

  test("what is wrong is refused by name", async (t) => {
    const [one] = await upstreams(t, 1, false);
    assert.ok(one !== undefined);
    const list: readonly (readonly [object, RegExp])[] = [
      [{ percent: 1 }, /^TypeError: faults: faults\[0\]: give delayMs, abort or allowHeaders$/],
      [{ percent: 101, delayMs: 1 }, /percent must be a number from 0 to 100, not 101/],
      [{ delayMs: 1 }, /percent must be a number from 0 to 100, not undefined/],
      [{ percent: 1, delayMs: 0 }, /delayMs must be a number above 0, not 0/],
      [{ percent: 1, abort: 0 }, /abort must be the code of an error, not 0/],
      [{ percent: 1, abort: "UNAVAILABLE" }, /abort must be the code of an error, not 'UNAVAILABLE'/],
      [{ percent: 1, abort: 14, delayMs: 1 }, /a fault has delayMs or abort/],
      [{ percent: 1, abort: 14, methods: "a b" }, /selector "a b"/],
      [{ percent: 1, abort: 14, when: {} }, /when must be a list of tests/],
      [{ percent: 1, abort: 14, when: [{}] }, /faults\[0\]: when\[0\]: give a header or a cookie/],
      [{ percent: 1, abort: 14, maxActive: 0 }, /maxActive must be a whole number from 1, not 0/],
      [{ percent: 1, delayms: 14 }, /there is no option "delayms"; did you mean delayMs\?/],
    ];
    for (const [fault, text] of list) assert.throws(() => faults(one.transport, [fault as never]), text);
    assert.throws(() => faults(one.transport, {} as never), /the faults must be a list of faults/);
  });
});
