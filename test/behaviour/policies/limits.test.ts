import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import type { ClientObserver, FinishedCall } from "../../../src/core/cluster/client-observer.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { all, each, failure, isImmediate, never } from "../../support/failure.ts";
import { allEcho, idempotent, scriptedEcho, unavailable } from "../../support/scripted-echo.ts";
import { dialSeveral, probeDue, ScriptedResolver, until } from "../../support/several-servers.ts";

const echoOnly = "tsms.test.v1.EchoService/Echo";

suite("limits of policies", { concurrency: true }, () => {
  test("a timeout is the default and the longest time of a call", async (t) => {
    const { address } = await scriptedEcho(t, (index, context) =>
      index === 0 ? never() : String(Math.ceil((context.timeoutMs() ?? Infinity) / 1_000)),
    );
    const policies = [{ selector: allEcho, timeoutMs: 500 }];
    const { client, transport } = dialSeveral(t, [address], { policies });
    await transport.ready();
    await failure(client.echo({}), Code.DeadlineExceeded);
    const long = dialSeveral(t, [address], { policies: [{ selector: echoOnly, timeoutMs: 60_000 }] });
    for (const more of [{}, { timeoutMs: 600_000 }]) {
      const left = Number((await long.client.echo({}, more)).text);
      assert.ok(left > 30 && left <= 60, `${left} s`);
    }
    const own = Number((await long.client.echo({}, { timeoutMs: 30_000 })).text);
    assert.ok(own > 0 && own <= 30, `${own} s`);
  });

  test("requests and replies have their largest sizes", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => "x".repeat(2_000), {
      async collect(requests) {
        for await (const request of requests) void request;
        return {};
      },
    });
    const policies = [{ selector: allEcho, maxRequestBytes: 1_000, maxResponseBytes: 1_000 }];
    const { client } = dialSeveral(t, [address], { policies });
    const tooLarge = await failure(client.echo({ text: "y".repeat(1_000) }), Code.ResourceExhausted);
    assert.match(
      tooLarge.rawMessage,
      /^a request of tsms\.test\.v1\.EchoService\/Echo has 1003 bytes, allowed are 1000$/,
    );
    assert.equal(previous.length, 0);
    await failure(client.echo({}), Code.ResourceExhausted);
    await failure(client.collect(each({ text: "y".repeat(2_000) })), Code.ResourceExhausted);
    await client.collect(each({ text: "y" }));
  });

  test("O02: beyond the calls under way and those that wait a call is refused at once", async (t) => {
    const waiting: (() => void)[] = [];
    const { address } = await scriptedEcho(
      t,
      () => new Promise((resolve) => waiting.push(() => resolve("done"))),
    );
    const policies = [{ selector: echoOnly, concurrency: { max: 2, queue: 1, queueTimeoutMs: 60_000 } }];
    const { client, transport } = dialSeveral(t, [address], { name: "users", policies });
    await transport.ready();
    const calls = [1, 2, 3].map(() => client.echo({}));
    const refused = failure(client.echo({}), Code.Unavailable);
    assert.ok(await isImmediate(refused));
    const error = await refused;
    assert.equal(error.rawMessage, "users: 2 calls under way and 1 waiting");
    assert.equal(retryAfterMsOf(error), 1_000);
    while (waiting.length < 2) await new Promise(setImmediate);
    assert.equal(transport.stats().cluster?.inFlight, 2);
    waiting[0]?.();
    await calls[0];
    while (waiting.length < 3) await new Promise(setImmediate);
    for (const end of waiting) end();
    await Promise.all(calls);
  });

  test("what the limit of calls refuses is not tried again, and asks no breaker", async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = await scriptedEcho(t, async () => {
      await promise;
      return "done";
    });
    const policies = [
      {
        selector: echoOnly,
        idempotency: "NO_SIDE_EFFECTS" as const,
        retry: { maxAttempts: 5, initialBackoffMs: 1 },
        concurrency: { max: 1 },
        circuitBreaker: { minCalls: 2, failureRatio: 0.1 },
      },
    ];
    const { client, transport } = dialSeveral(t, [slow.address], { policies });
    await transport.ready();
    const first = client.echo({});
    for (let call = 0; call < 10; call++) {
      const refused = failure(client.echo({}), Code.Unavailable);
      assert.ok(await isImmediate(refused));
    }
    resolve();
    assert.equal((await first).text, "done");
    assert.deepEqual(transport.stats().cluster?.attempts, { first: 1, transparent: 0, retry: 0, hedge: 0 });
    assert.deepEqual(
      transport.stats().cluster?.breakers.map(({ calls, failures }) => [calls, failures]),
      [[1, 0]],
    );
  });

  test("a place among the calls under way is given back by every end", async (t) => {
    const { address } = await scriptedEcho(
      t,
      (index, { signal }) => {
        if (index === 0) return unavailable();
        if (index > 2) return "good";
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve("late")));
      },
      {
        async *repeat() {
          yield { text: "one" };
          yield { text: "two" };
        },
      },
    );
    const policies = [{ selector: allEcho, concurrency: { max: 1, queue: 1, queueTimeoutMs: 50 } }];
    const { client } = dialSeveral(t, [address], { policies });
    await failure(client.echo({}), Code.Unavailable);
    await failure(client.echo({}, { timeoutMs: 300 }), Code.DeadlineExceeded);
    const controller = new AbortController();
    const cancelled = failure(client.echo({}, { signal: controller.signal }), Code.Canceled);
    // This one waits, and ends by its own caller.
    const other = new AbortController();
    const queued = failure(client.echo({}, { signal: other.signal }), Code.Canceled);
    other.abort();
    await queued;
    await failure(client.echo({}), Code.Unavailable); // Waited too long.
    controller.abort();
    await cancelled;
    for await (const reply of client.repeat({})) {
      assert.equal(reply.text, "one");
      break;
    }
    assert.equal((await all(client.repeat({}))).length, 2);
    assert.equal((await client.echo({})).text, "good");
  });

  for (const [scope, label] of [
    ["method", "tsms.test.v1.EchoService.Echo"],
    ["target", "target"],
    ["endpoint", "endpoint"],
    ["endpoint_method", "tsms.test.v1.EchoService.Echo"],
  ] as const) {
    test(`K08: a breaker of a ${scope} opens, probes and closes`, async (t) => {
      let isGood = false;
      const { address, previous } = await scriptedEcho(t, (_, { signal }) => {
        if (isGood) return "good";
        if (previous.length <= 20) return unavailable();
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve("late")));
      });
      const circuitBreaker = { scope, openForMs: 1_000, maxOpenForMs: 1_000 };
      const policies = [{ selector: echoOnly, circuitBreaker }];
      const { client, transport } = dialSeveral(t, [address], { name: "users", policies });
      for (let call = 0; call < 20; call++) await failure(client.echo({}), Code.Unavailable);
      const began = performance.now();
      const open = await failure(client.echo({}), Code.Unavailable);
      assert.ok(performance.now() - began < 500); // 5 ms on a machine without other load.
      assert.match(open.rawMessage, /^users: circuit open/);
      assert.equal(open.rawMessage.includes(address), false);
      assert.ok((retryAfterMsOf(open) ?? Infinity) <= 1_100);
      assert.equal(previous.length, 20);
      assert.equal(transport.stats().cluster?.breakers[0]?.of, label);
      // The first call after that time is the probe; its caller cancels, and the next call is the probe.
      await probeDue(transport);
      const controller = new AbortController();
      const probe = failure(client.echo({}, { signal: controller.signal }), Code.Canceled);
      while (previous.length < 21) await new Promise(setImmediate);
      assert.match((await failure(client.echo({}), Code.Unavailable)).rawMessage, /circuit open/);
      controller.abort();
      await probe;
      isGood = true;
      assert.equal((await client.echo({})).text, "good");
      assert.equal(transport.stats().cluster?.breakers[0]?.state.kind, "closed");
    });
  }

  test("K08: a probe that never ends opens the breaker again", async (t) => {
    const { address, previous } = await scriptedEcho(t, (index) => (index < 20 ? unavailable() : never()));
    const circuitBreaker = { openForMs: 20, maxOpenForMs: 10_000, probeTimeoutMs: 50 };
    const { client, transport } = dialSeveral(t, [address], {
      policies: [{ selector: echoOnly, circuitBreaker }],
    });
    for (let call = 0; call < 20; call++) await failure(client.echo({}), Code.Unavailable);
    await probeDue(transport);
    const probe = failure(client.echo({}, { timeoutMs: 2_000 }), Code.DeadlineExceeded);
    while (previous.length < 21) await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(transport.stats().cluster?.breakers[0]?.opened, 2);
    transport.close();
    await probe;
  });

  test("the picker passes over an endpoint whose breaker is open", async (t) => {
    const bad = await scriptedEcho(t, () => unavailable());
    const good = await scriptedEcho(t, () => "good");
    const options = {
      balance: "round_robin" as const,
      policies: [{ selector: echoOnly, circuitBreaker: { scope: "endpoint" as const, minCalls: 5 } }],
    };
    const { client, transport } = dialSeveral(t, [bad.address, good.address], options);
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 2);
    for (let call = 0; call < 10; call++) await client.echo({}).catch(() => {});
    assert.equal(bad.previous.length, 5);
    for (let call = 0; call < 10; call++) assert.equal((await client.echo({})).text, "good");
    assert.equal(bad.previous.length, 5);
  });

  test("an adaptive breaker sheds the more the more fail", async (t) => {
    const { address } = await scriptedEcho(t, () => unavailable());
    const policies = [{ selector: echoOnly, circuitBreaker: { mode: "adaptive" as const } }];
    const { client, transport } = dialSeveral(t, [address], { policies });
    for (let call = 0; call < 300; call++) await failure(client.echo({}), Code.Unavailable);
    const breaker = transport.stats().cluster?.breakers[0];
    assert.ok((breaker?.refused ?? 0) > 100, `refused ${breaker?.refused}`);
    assert.ok((breaker?.shedding ?? 0) > 0.9);
  });

  test("what a breaker refuses is not tried again", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const policies = [idempotent({ circuitBreaker: { minCalls: 2 } })];
    const { client, transport } = dialSeveral(t, [address], { policies });
    // The second attempt opens it, the third is refused.
    assert.match((await failure(client.echo({}), Code.Unavailable)).rawMessage, /circuit open/);
    await failure(client.echo({}), Code.Unavailable);
    assert.equal(previous.length, 2);
    assert.equal(transport.stats().cluster?.attempts.retry, 1);
  });

  test("K09: callers that cancel or have short deadlines open no breaker", async (t) => {
    const { address } = await scriptedEcho(
      t,
      (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("late"))),
    );
    const policies = [{ selector: echoOnly, circuitBreaker: { minCalls: 5 } }];
    const { client, transport } = dialSeveral(t, [address], { policies, http2: { maxQueuedCalls: 100_000 } });
    await transport.ready();
    const controller = new AbortController();
    const cancelled = Array.from({ length: 200 }, () =>
      failure(client.echo({}, { signal: controller.signal }), Code.Canceled),
    );
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 10 }, () => failure(client.echo({}, { timeoutMs: 5 }), Code.DeadlineExceeded)),
      );
    }
    controller.abort();
    await Promise.all(cancelled);
    const [breaker] = transport.stats().cluster?.breakers ?? [];
    assert.deepEqual([breaker?.state.kind, breaker?.failures], ["closed", 0]);
    assert.equal(transport.stats().endpoints[0]?.load?.failures, 0);
    assert.equal(transport.stats().cluster?.inFlight, 0);
  });

  test("the policy's own timeout counts for its breaker, however short", async (t) => {
    const { address } = await scriptedEcho(t, () => never());
    const policies = [{ selector: echoOnly, timeoutMs: 20, circuitBreaker: { minCalls: 3 } }];
    const { client } = dialSeveral(t, [address], { policies });
    for (let call = 0; call < 3; call++) await failure(client.echo({}), Code.DeadlineExceeded);
    assert.match((await failure(client.echo({}), Code.Unavailable)).rawMessage, /circuit open/);
  });

  test("K02: calls fail at once while there is no endpoint, those that wait for one get it", async (t) => {
    const { address } = await scriptedEcho(t, () => "good");
    const resolver = new ScriptedResolver();
    const policies = [{ selector: "tsms.test.v1.EchoService/Echo", waitForReady: true }];
    const { client, transport } = dialSeveral(t, resolver, { policies });
    const waiting = client.echo({});
    await resolver.watched;
    resolver.listener.failed(new ConnectError("no such name", Code.Unavailable));
    const refused = failure(client.collect(each({})), Code.Unavailable);
    assert.ok(await isImmediate(refused));
    const late = failure(client.echo({}, { timeoutMs: 50 }), Code.DeadlineExceeded);
    await late;
    assert.equal(transport.stats().cluster?.queued, 1);
    resolver.update(address);
    assert.equal((await waiting).text, "good");
    transport.close();
    await failure(client.echo({}), Code.Unavailable);
  });

  test("K07: few streams on a connection, and many calls", async (t) => {
    // No call is answered before those that have no stream have made the client open further connections.
    const more = Promise.withResolvers<void>();
    const { address } = await scriptedEcho(
      t,
      () => more.promise.then(() => "done"),
      {},
      {
        maxConcurrentStreams: 10,
      },
    );
    const { client, transport } = dialSeveral(t, [address], { policies: [idempotent()] });
    const connections = (): number => transport.stats().cluster?.connections ?? 0;
    const replies = Array.from({ length: 200 }, () => client.echo({}));
    await until(transport, () => connections() > 1);
    more.resolve();
    assert.equal((await Promise.all(replies)).length, 200);
    assert.ok(connections() <= 8, `${connections()} connections`);
  });

  test("observers see calls with their attempts, endpoints and breakers; metrics count them", async (t) => {
    const { address } = await scriptedEcho(t, (index) => (index === 0 ? unavailable() : "good"));
    const calls: FinishedCall[] = [];
    const states: string[] = [];
    const observer: ClientObserver = {
      callFinished: (call) => void calls.push(call),
      endpointChanged: ({ before, state }) => void states.push(`${before} → ${state}`),
      breakerChanged: ({ breaker, state }) => void states.push(`${breaker} ${state.kind}`),
    };
    const failing: ClientObserver = {
      callFinished() {
        throw new Error("an observer fails");
      },
    };
    const warned = new Promise((resolve) => process.once("warning", resolve));
    const { client, transport } = dialSeveral(t, [address], {
      name: "watched",
      policies: [
        idempotent({ circuitBreaker: {}, concurrency: { max: 1, queue: 1, queueTimeoutMs: 60_000 } }),
      ],
      clientObservers: [failing, observer],
    });
    await Promise.all([client.echo({}), client.echo({})]);
    assert.match(String(await warned), /an observer fails/);
    const [first, second] = calls;
    assert.deepEqual(
      first?.attempts.map(({ endpoint, kind, code }) => [endpoint, kind, code]),
      [
        [address, "first", Code.Unavailable],
        [address, "retry", 0],
      ],
    );
    assert.deepEqual([first?.upstream, first?.method.name, first?.code], ["watched", "Echo", 0]);
    assert.ok((second?.queuedMs ?? 0) > 0 && (second?.queuedMs ?? 0) <= (second?.durationMs ?? 0));
    transport.close();
    assert.deepEqual(states.slice(0, 2), ["idle → connecting", "connecting → ready"]);
    const page = await new Metrics({ processMetrics: false }).page();
    const rpc = 'service="tsms.test.v1.EchoService",method="Echo"';
    assert.ok(page.includes(`ts_ms_client_attempts_total{upstream="watched",${rpc},kind="retry"} 1`));
    assert.ok(page.includes('ts_ms_client_queue_seconds_count{upstream="watched"} 1'));
  });

  test("metrics count denied retries, refused calls and the states of breakers", async (t) => {
    const { address } = await scriptedEcho(t, () => unavailable());
    const { client } = dialSeveral(t, [address], {
      name: "failing",
      policies: [idempotent({ circuitBreaker: { minCalls: 2, openForMs: 60_000 } })],
      retryBudget: { reserve: 0, ratio: 0 },
    });
    for (let call = 0; call < 3; call++) await failure(client.echo({}), Code.Unavailable);
    const page = await new Metrics({ processMetrics: false }).page();
    const breaker = 'breaker="tsms.test.v1.EchoService.Echo"';
    assert.ok(page.includes('ts_ms_client_retries_denied_total{upstream="failing",reason="budget"} 2'));
    assert.ok(page.includes('ts_ms_client_rejected_total{upstream="failing",reason="breaker"} 1'));
    assert.ok(page.includes(`ts_ms_client_breaker_state{upstream="failing",${breaker}} 2`));
  });
});
