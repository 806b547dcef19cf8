import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "../../src/core/errors/errors.ts";
import { Limiter, type LimitsInit } from "../../src/core/limits/limiter.ts";
import { LimitStore, type StoredRule } from "../../src/core/limits/store.ts";
import { endOfPeriod } from "../../src/core/limits/window.ts";
import { connectRedis, type Redis } from "../../src/core/redis/redis.ts";
import { RedisScript } from "../../src/core/redis/script.ts";
import { madeCall, type MadeCall } from "../support/made-call.ts";
import { RedisServer } from "../support/redis-server.ts";

let server: RedisServer;
const open: Redis[] = [];

before(async () => {
  server = await RedisServer.start();
});

after(async () => {
  for (const redis of open) redis.close();
  await server.stop();
});

/** A process as far as its limits are concerned. */
async function replica(init: LimitsInit) {
  const redis = await connectRedis({ url: server.url, commandTimeoutMs: 2_000 });
  open.push(redis);
  assert.ok(await redis.whenReady(5_000));
  const limiter = new Limiter(init, { redis });
  const passes = async (made?: MadeCall): Promise<boolean> => {
    const head = madeCall(made);
    try {
      await limiter.beforeAuthentication.admit(head);
      await limiter.behindAuthentication.admit(head);
      return true;
    } catch (reason) {
      assert.ok(reason instanceof ConnectError);
      return false;
    } finally {
      head.context.end();
    }
  };
  const passed = async (calls: number, made?: MadeCall): Promise<number> => {
    const all = await Promise.all(Array.from({ length: calls }, () => passes(made)));
    return all.filter(Boolean).length;
  };
  return { redis, limiter, passes, passed };
}

let names = 0;
/** Limits of a name that no other test uses. */
function named(...inits: readonly LimitsInit[string][]): LimitsInit {
  return Object.fromEntries(inits.map((init) => [`limit-${++names}`, init]));
}

test("R5 exactly as many calls pass in all replicas together", async () => {
  const init = named({ key: ["ip"], rate: "100/1h", store: "redis" });
  const [a, b] = [await replica(init), await replica(init)];
  const [first, second] = await Promise.all([a.passed(90), b.passed(90)]);
  assert.equal(first + second, 100);
  assert.equal(await a.passed(1, { ip: "192.0.2.99" }), 1);
});

test("R1 R5 a call that one of two limits refuses takes nothing of the other", async () => {
  const init = named(
    { key: ["ip"], rate: "5/1h", store: "redis" },
    { key: ["header:x-a"], rate: "3/1h", store: "redis" },
    { key: ["principal"], rate: "1/1h", store: "redis" },
  );
  const [first = "", second = "", third = ""] = Object.keys(init);
  const { passes, limiter } = await replica(init);
  const call = { headers: { "x-a": "1" }, principal: { id: "bob" } };
  assert.deepEqual([await passes(call), await passes(call), await passes(call)], [true, false, false]);
  const other = { ...call, principal: { id: "eve" } };
  assert.deepEqual([await passes(other), await passes(other)], [true, false]);
  await sleep(50); // What is given back is on its way.
  assert.equal((await limiter.usage(first, "192.0.2.1")).used, 2);
  assert.equal((await limiter.usage(second, "1")).used, 2);
  assert.equal((await limiter.usage(third, "corp/bob")).used, 1);
});

test("R5 windows and buckets go on by the time of the server", async () => {
  const window = await replica(named({ key: ["ip"], rate: "10/300ms", store: "redis" }));
  const bucket = await replica(named({ key: ["ip"], rate: "10/1s", burst: 3, store: "redis" }));
  assert.deepEqual([await window.passed(20), await bucket.passed(20)], [10, 3]);
  await sleep(330);
  assert.equal(await window.passed(20), 10);
  const refilled = await bucket.passed(20);
  assert.equal(refilled, 3);
});

test("R5 keys of Redis have an end, and do not show who they are of", async () => {
  const init = named({ key: ["header:x-secret"], rate: "10/1h", store: "redis" });
  const { passes, redis } = await replica(init);
  await passes({ headers: { "x-secret": "hunter2" } });
  const keys = (await redis.command(["KEYS", `ts-ms:limit:${Object.keys(init)[0]}:*`])) as string[];
  assert.equal(keys.length, 1);
  assert.ok(!keys.join().includes("hunter2"));
  const ttlMs = Number(await redis.command(["PTTL", keys[0] ?? ""]));
  assert.ok(ttlMs > 3_590_000 && ttlMs <= 3_600_000);
});

test("R5 days and months end where they do in UTC", async () => {
  const { redis } = await replica({});
  const store = new LimitStore(redis);
  for (const kind of ["day", "month"] as const) {
    const rule: StoredRule = [kind, 5, 0];
    const request = { key: `ts-ms:test:${kind}`, rule, least: 1, want: 1, shadow: false };
    const [answer] = await store.take([request]);
    const leftMs = endOfPeriod(kind, Date.now()) - Date.now();
    assert.ok(Math.abs((answer?.resetMs ?? 0) - leftMs) < 1_000, kind);
    const [again] = await store.take([request]);
    assert.deepEqual([again?.remaining, again?.allowed], [3, true]);
  }
});

test("R5 a batch is taken at a time, and no more pass than there are", async () => {
  const init = named({ key: ["ip"], rate: "200/1h", store: "redis", batch: 20 });
  const [name = ""] = Object.keys(init);
  const [a, b] = [await replica(init), await replica(init)];
  let passed = 0;
  const commandsBefore = await commands(a.redis);
  for (let round = 0; round < 150; round++) {
    passed += Number(await a.passes()) + Number(await b.passes());
  }
  assert.ok(passed <= 200 && passed >= 160, `${passed} of 200`);
  const asked = (await commands(a.redis)) - commandsBefore;
  assert.ok(asked < 150, `${asked} commands for 300 calls`);
  const usage = await a.limiter.usage(name, "192.0.2.1");
  assert.equal(usage.remaining, 0);
  await a.limiter.reset(name, "192.0.2.1");
  assert.equal(await a.passes(), true);
});

test("R5 of calls that come together as many pass as there are, with batches smaller than a crowd", async () => {
  const init = named({ key: ["ip"], rate: "1000/1h", store: "redis", batch: 20 });
  const { redis, passes, limiter } = await replica(init);
  const before = await commands(redis);
  let passed = 0;
  for (let round = 0; round < 50; round++) {
    const crowd = await Promise.all(Array.from({ length: 32 }, () => passes()));
    passed += crowd.filter(Boolean).length;
  }
  assert.equal(passed, 1_000);
  const asked = (await commands(redis)) - before;
  assert.ok(asked < 700, `${asked} commands for 1,600 calls, of which 600 were refused`);
  assert.equal(limiter.decisions[0]?.refused, 600);
});

test("usage of all replicas is seen and forgotten at each", async () => {
  const init = named({ key: ["principal"], rate: "10/1h", store: "redis" });
  const [name = ""] = Object.keys(init);
  const [a, b] = [await replica(init), await replica(init)];
  await a.passed(4, { principal: { id: "bob" } });
  const { used, remaining, resetMs = 0 } = await b.limiter.usage(name, "corp/bob");
  assert.deepEqual([used, remaining], [4, 6]);
  assert.ok(resetMs > 3_590_000);
  await b.limiter.reset(name, "corp/bob");
  assert.equal((await a.limiter.usage(name, "corp/bob")).used, 0);
});

test("R9 a shadow limit in Redis refuses nothing", async () => {
  const init = named(
    { key: ["ip"], rate: "1/1h", store: "redis", mode: "shadow" },
    { key: ["ip"], rate: "5/1h", store: "redis" },
  );
  const { passed, limiter } = await replica(init);
  assert.equal(await passed(9), 5);
  assert.deepEqual(
    limiter.decisions.map(({ allowed, refused, shadow }) => [allowed, refused, shadow]),
    [
      [1, 0, 4],
      [5, 4, 0],
    ],
  );
});

for (const [onStoreFailure, passes] of [
  ["local", 3],
  ["allow", 10],
  ["deny", 0],
] as const) {
  test(`R6 while Redis is away, ${onStoreFailure} lets ${passes} of 10 calls pass`, async () => {
    const own = await RedisServer.start();
    const redis = await connectRedis({ url: own.url });
    try {
      assert.ok(await redis.whenReady(5_000));
      const limiter = new Limiter(
        { a: { key: ["ip"], rate: "3/1h", store: "redis", onStoreFailure } },
        { redis },
      );
      await own.kill();
      let passed = 0;
      for (let call = 0; call < 10; call++) {
        const head = madeCall();
        try {
          await limiter.beforeAuthentication.admit(head);
          passed++;
        } catch (reason) {
          assert.ok(reason instanceof ConnectError);
          if (onStoreFailure === "deny")
            assert.match(reason.rawMessage, /the store of the limit a cannot be reached/);
        }
      }
      assert.equal(passed, passes);
      const [decisions] = limiter.decisions;
      assert.ok((decisions?.degraded ?? 0) >= passes);
    } finally {
      redis.close();
      await own.stop();
    }
  });
}

async function commands(redis: Redis): Promise<number> {
  const info = String(await redis.run(new RedisScript("return redis.call('INFO', 'commandstats')"), [], []));
  const [, calls = "0"] = /cmdstat_evalsha:calls=(\d+)/.exec(info) ?? [];
  return Number(calls);
}
