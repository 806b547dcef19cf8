import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { VaultService } from "../../../gen/tsms/test/v1/vault_pb.ts";
import { refusalKindOf } from "../../../src/core/admission/refusal.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { FairShare, levelOf } from "../../../src/core/overload/fair-share.ts";
import { Overload } from "../../../src/core/overload/overload.ts";
import type { OverloadOptions } from "../../../src/core/overload/overload-options.ts";
import { madeCall, type MadeCall } from "../../support/made-call.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { quantile, simulate, type Ended, type Stream } from "./simulated-server.ts";

function rig(options: Partial<OverloadOptions>, memory = (): number => 0) {
  const clock = new VirtualClock(1_000);
  const overload = new Overload(options, {
    clock,
    memory,
    random: () => 0.5,
    utilization: () => 1,
    criticalityOf: ({ name }) =>
      name === "Collect" ? "SHEDDABLE" : name === "Chat" ? "CRITICAL" : "DEFAULT",
  }).start();
  const calls: ReturnType<typeof madeCall>[] = [];
  /** @returns the error, or undefined for a call that passes */
  const call = async (made?: MadeCall): Promise<ConnectError | undefined> => {
    const head = madeCall(made);
    try {
      await overload.gate.admit(head);
      calls.push(head);
      return undefined;
    } catch (reason) {
      assert.ok(reason instanceof ConnectError);
      head.context.end();
      return reason;
    }
  };
  return { clock, overload, call, calls };
}

/** Calls of a time, and how they ended. */
function between(ended: readonly Ended[], fromMs: number, untilMs: number) {
  const all = ended.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
  return { good: all.filter(({ passed }) => passed), refused: all.filter(({ passed }) => !passed) };
}

/** Good calls a second as a share of a capacity. */
function goodput(ended: readonly Ended[], fromMs: number, untilMs: number, capacity: number): number {
  return (between(ended, fromMs, untilMs).good.length * 1000) / (untilMs - fromMs) / capacity;
}

for (const [load, least] of [
  [2, 0.9],
  [5, 0.8],
] as const) {
  test(`O01 Q2 at ${load} times what the processor can do, almost all of that is done, in time`, async () => {
    const capacity = 200;
    const streams: Stream[] = [
      { rate: capacity * load, fromMs: 0, untilMs: 8_000 },
      { rate: capacity / 2, fromMs: 8_000, untilMs: 15_000 },
    ];
    const { ended } = await simulate(streams, () => ({ cpuMs: 5 }));
    assert.ok(goodput(ended, 2_500, 8_000, capacity) >= least);
    const { good, refused } = between(ended, 2_500, 8_000);
    const { good: normal, refused: late } = between(ended, 13_000, 15_000);
    assert.ok(quantile(good, 0.99) <= 5 * quantile(normal, 0.99), `${quantile(good, 0.99)} ms`);
    assert.ok(quantile(refused, 0.99) < 50, `${quantile(refused, 0.99)} ms`);
    assert.equal(late.length, 0, "five seconds later all is as before");
  });

  test(`O01 Q2 at ${load} times what handlers can wait for, almost all of that is done, in time`, async () => {
    const capacity = 500; // Ten handlers of 20 ms.
    const streams: Stream[] = [
      { rate: capacity / 4, fromMs: 0, untilMs: 3_000 },
      { rate: capacity * load, fromMs: 3_000, untilMs: 9_000 },
      { rate: capacity / 2, fromMs: 9_000, untilMs: 15_000 },
    ];
    const { ended } = await simulate(streams, () => ({ cpuMs: 0.05, waitMs: 20, places: 10 }));
    assert.ok(goodput(ended, 4_000, 9_000, capacity) >= least);
    const { good, refused } = between(ended, 5_500, 9_000);
    assert.ok(
      quantile(good, 0.99) <= 5 * quantile(between(ended, 0, 3_000).good, 0.99),
      `${quantile(good, 0.99)} ms`,
    );
    assert.ok(quantile(refused, 0.99) < 50, `${quantile(refused, 0.99)} ms`);
    assert.equal(between(ended, 14_000, 15_000).refused.length, 0);
  });
}

for (const load of [2, 5]) {
  test(`O10 Q1 at ${load} times what the processor can do, there is time for other answers from the first call on`, async () => {
    const streams: Stream[] = [{ rate: 100 * load, fromMs: 0, untilMs: 3_000 }];
    const { ended, longestTurnMs } = await simulate(streams, () => ({ cpuMs: 10 }));
    assert.ok(longestTurnMs <= 100, `${longestTurnMs} ms`);
    assert.ok(between(ended, 2_500, 3_000).refused.length > 0);
  });
}

test("O10 calls of a burst wait for their turns, and are served", async () => {
  const burst: Stream = { rate: 400, fromMs: 0, untilMs: 80 };
  const { ended, longestTurnMs } = await simulate([burst], () => ({ cpuMs: 10 }));
  assert.ok(ended.length > 20);
  assert.deepEqual(
    ended.filter(({ passed }) => !passed),
    [],
  );
  assert.ok(longestTurnMs <= 100, `${longestTurnMs} ms`);
});

test("a call whose client leaves while it waits for a turn is not let in", async () => {
  const { clock, overload } = rig({});
  const first = madeCall();
  assert.equal(overload.gate.admit(first), undefined);
  clock.advance(60);
  const [gone, waiting] = [madeCall(), madeCall()];
  const never = overload.gate.admit(gone);
  const later = overload.gate.admit(waiting);
  assert.ok(never instanceof Promise && later instanceof Promise);
  assert.equal(overload.state.waiting, 2);
  gone.context.end();
  await later;
  assert.deepEqual([overload.state.waiting, overload.state.inFlight], [0, 2]);
  const next = madeCall();
  assert.equal(overload.gate.admit(next), undefined, "a new turn has time");
  for (const { context } of [first, waiting, next]) context.end();
  assert.equal(overload.state.inFlight, 0);
});

test("O15 a quiet server refuses nothing, however long a handler takes now and then", async () => {
  const streams = [{ rate: 10, fromMs: 0, untilMs: 300_000 }];
  const work = [{ cpuMs: 1 }, { cpuMs: 2_000 }, { cpuMs: 1, waitMs: 2_000 }] as const;
  const { ended, overload } = await simulate(
    streams,
    (at) => work[at % 97 === 0 ? 1 : at % 31 === 0 ? 2 : 0],
  );
  assert.ok(ended.length > 2_500);
  assert.equal(ended.filter(({ passed }) => !passed).length, 0);
  assert.deepEqual(overload.shed, []);
});

test("Q2 an event loop that is late while it has little to do refuses nothing: others have the processor", async () => {
  const streams = [{ rate: 20, fromMs: 0, untilMs: 20_000 }];
  const shedOf = async (utilization: number): Promise<number> => {
    const { ended } = await simulate(streams, () => ({ cpuMs: 80 }), {}, { utilization: () => utilization });
    return ended.filter(({ passed }) => !passed).length;
  };
  assert.ok((await shedOf(1)) > 50);
  assert.equal(await shedOf(0.5), 0);
});

test("Q3 a caller with twenty times his share does not slow down nine others", async () => {
  const capacity = 200;
  const others = Array.from({ length: 9 }, (_, at): Stream => {
    return { rate: capacity / 20, fromMs: 0, untilMs: 8_000, call: { ip: `192.0.2.${at + 1}` } };
  });
  const greedy: Stream = { rate: capacity * 2, fromMs: 2_000, untilMs: 8_000, call: { ip: "198.51.100.1" } };
  const { ended } = await simulate([...others, greedy], () => ({ cpuMs: 5 }));
  const after = between(ended, 4_500, 8_000);
  const ofOthers = after.good.filter(({ stream }) => stream !== greedy);
  const refused = after.refused.filter(({ stream }) => stream !== greedy);
  assert.ok(refused.length <= 0.05 * ofOthers.length, `${refused.length} of ${ofOthers.length} refused`);
  assert.ok(after.good.length > ofOthers.length, "the greedy one gets what is left");
});

test("Q3 what its contract calls sheddable is refused first", async () => {
  const streams: Stream[] = [
    { rate: 150, fromMs: 0, untilMs: 6_000 },
    { rate: 150, fromMs: 0, untilMs: 6_000, call: { method: VaultService.method.seal } },
  ];
  const { ended } = await simulate(streams, () => ({ cpuMs: 5 }));
  const { refused, good } = between(ended, 3_000, 6_000);
  const ofDefault = refused.filter(({ stream }) => stream.call === undefined).length;
  assert.ok(ofDefault < refused.length * 0.1, `${ofDefault} of ${refused.length}`);
  assert.ok(good.length > 0);
});

test("Q3 shares are max-min fair", () => {
  assert.equal(levelOf([10, 10, 100], 60), 40);
  assert.equal(levelOf([10, 20, 100, 100], 90), 30);
  assert.equal(levelOf([1, 1], 10), Number.POSITIVE_INFINITY);
  const fair = new FairShare();
  for (let call = 0; call < 100; call++) fair.count("DEFAULT", "greedy");
  for (let call = 0; call < 10; call++) fair.count("DEFAULT", "modest");
  for (let call = 0; call < 10; call++) fair.count("SHEDDABLE", "any");
  for (let call = 0; call < 10; call++) fair.count("CRITICAL", "any");
  fair.share = 60 / 130;
  assert.deepEqual(
    [
      fair.chance("SHEDDABLE", "any"),
      fair.chance("DEFAULT", "greedy"),
      fair.chance("DEFAULT", "modest"),
      fair.chance("CRITICAL", "any"),
    ],
    [1, 0.5, 0, 0],
  );
  fair.share = 125 / 130;
  assert.deepEqual([fair.chance("DEFAULT", "modest"), fair.chance("CRITICAL", "any")], [1, 0.5]);
  fair.clear();
  assert.equal(fair.chance("SHEDDABLE", "any"), 0);
});

test("O02 Q4 over a fixed cap calls wait, the newest first, and no more than may for no longer than they may", async () => {
  const { call, calls, clock, overload } = rig({ maxConcurrent: 1, queue: 2, queueWaitMs: 1_000 });
  assert.equal(await call(), undefined);
  const order: string[] = [];
  const waiting = ["a", "b", "c"].map(async (name) => {
    order.push(`${name} ${(await call())?.code ?? "passed"}`);
  });
  await clock.pass(0);
  assert.deepEqual(order, [`a ${Code.Unavailable}`], "a full queue loses its oldest call");
  calls[0]?.context.end();
  await clock.pass(0);
  assert.deepEqual(order.at(-1), "c passed");
  await clock.pass(1_500);
  await Promise.all(waiting);
  assert.equal(order.at(-1), `b ${Code.Unavailable}`);
  assert.deepEqual([overload.state.inFlight, overload.state.waiting], [1, 0]);
});

test("Q4 a refused call is told when to come again, and may keep its connection", async () => {
  const { call } = rig({ maxConcurrent: 1, queue: 0 });
  await call();
  const error = (await call()) ?? assert.fail("it passed");
  assert.equal(error.code, Code.Unavailable);
  assert.equal(refusalKindOf(error), "overload");
  assert.equal(retryAfterMsOf(error), 1_000);
  const [info] = error.details;
  assert.ok(info !== undefined && "desc" in info);
  assert.deepEqual(info.value, { reason: "OVERLOADED", domain: "ts-ms", metadata: { cause: "concurrency" } });
});

test("Q1 Q4 health is never refused, and streams are not counted as calls in flight", async () => {
  const { call, overload } = rig({ maxConcurrent: 1, queue: 0 });
  assert.equal(await call(), undefined);
  assert.ok((await call()) !== undefined);
  assert.equal(await call({ method: Health.method.check }), undefined);
  assert.equal(await call({ method: EchoService.method.repeat }), undefined);
  assert.equal(overload.state.inFlight, 1);
});

test("O05 Q5 with its memory full the server refuses new calls, and above that ends its oldest streams", async () => {
  let use = 0.5;
  const { call, calls, clock, overload } = rig({}, () => use);
  for (let at = 0; at < 20; at++) await call({ method: EchoService.method.repeat });
  use = 0.92;
  await clock.pass(600);
  assert.equal(overload.state.state, "memory");
  assert.equal((await call())?.code, Code.Unavailable);
  assert.ok(
    calls.every(({ context }) => context.reason === undefined),
    "streams are kept",
  );
  use = 0.96;
  await clock.pass(500);
  const ended = calls.map(({ context }) => context.reason?.code);
  assert.deepEqual(ended.slice(0, 3), [Code.Unavailable, Code.Unavailable, undefined]);
  use = 0.5;
  await clock.pass(600);
  assert.equal(await call(), undefined);
  assert.deepEqual(overload.shed, [{ reason: "memory", criticality: "DEFAULT", calls: 1 }]);
});

test("a call that has left while it waited takes no place", async () => {
  const { call, calls, clock, overload } = rig({ maxConcurrent: 1, queue: 5 });
  await call();
  const head = madeCall();
  const waiting = overload.gate.admit(head) ?? assert.fail("it did not wait");
  head.context.abort(new ConnectError("left", Code.Canceled));
  calls[0]?.context.end();
  assert.equal(overload.state.inFlight, 0);
  await clock.pass(2_000);
  assert.equal(await call(), undefined);
  void waiting;
});

test("what cannot be used is refused, and a reload keeps what waits", async () => {
  assert.throws(() => new Overload({ maxConcurrent: 0 }), /overload: maxConcurrent must be/);
  assert.throws(() => new Overload({ maxMemory: 2 }), /overload: maxMemory must be above 0/);
  const { call, calls, clock, overload } = rig({ maxConcurrent: 1, queue: 5 });
  await call();
  const waiting = call();
  overload.replace({ maxConcurrent: 3 });
  calls[0]?.context.end();
  await clock.pass(0);
  assert.equal(await waiting, undefined);
  assert.equal(overload.state.limit, 3);
});
