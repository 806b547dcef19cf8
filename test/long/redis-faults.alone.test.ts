import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { Gate } from "../../src/core/admission/gate.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { Limiter } from "../../src/core/limits/limiter.ts";
import { connectRedis } from "../../src/core/redis/redis.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { Echo } from "../support/echo-service.ts";
import { RedisServer } from "../support/redis-server.ts";

/** Calls a second, and how many of all may take longer than `slowMs`. */
const rate = 500;
const slowMs = 100;
const slowCalls = 3;
/** How often one looks whether the limit holds while Redis stays what it is, there or away. */
const attempts = 20;

/**
 * The time for which this process could run, in milliseconds: what other programs take of the processor at one piece is no
 * time that a call has waited for Redis.
 */
class OwnTime implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #stalledMs = 0;
  #lastMs = performance.now();

  constructor(tickMs = 5) {
    this.#timer = setInterval(() => {
      this.#stalledMs += Math.max(0, performance.now() - this.#lastMs - tickMs);
      this.#lastMs = performance.now();
    }, tickMs);
  }

  get nowMs(): number {
    const late = Math.max(0, performance.now() - this.#lastMs);
    return performance.now() - this.#stalledMs - late;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

test("O13 Redis is frozen, killed and started without its data under load, and no call fails", async (t) => {
  const redisServer = await RedisServer.start();
  const redis = await connectRedis({ url: redisServer.url });
  assert.ok(await redis.whenReady(5_000));
  const limiter = new Limiter(
    {
      all: { key: ["global"], rate: "1000000/1h", store: "redis" },
      each: { key: ["header:x-user"], rate: "5/1h", store: "redis" },
    },
    { redis },
  );
  const latencies: number[] = [];
  using time = new OwnTime();
  /** Measures what the limits add to a call: client and server share this process. */
  const gate: Gate = {
    name: "measured",
    async admit(call) {
      const since = time.nowMs;
      try {
        await limiter.beforeAuthentication.admit(call);
      } finally {
        latencies.push(time.nowMs - since);
      }
    },
  };
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(new Echo());
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    gates: [gate],
    logger: false,
  });
  await http.addService(EchoService).start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    agent.destroy();
    redis.close();
    await redisServer.stop();
  });
  const url = `http://127.0.0.1:${http.address?.port}/test/v1/echo/a`;
  const statuses = new Map<number, number>();
  let users = 0;
  const statusOf = (user: string): Promise<number> =>
    new Promise((resolve, reject) => {
      get(url, { agent, headers: { "x-user": user } }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      }).once("error", reject);
    });
  const ask = async (user: string): Promise<number> => {
    const status = await statusOf(user);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    return status;
  };
  const load = async (ms: number): Promise<void> => {
    const calls: Promise<number>[] = [];
    const since = performance.now();
    for (let sent = 0; performance.now() - since < ms;) {
      const due = ((performance.now() - since) * rate) / 1000;
      for (; sent < due; sent++) calls.push(ask(`user-${users++}`));
      await sleep(2);
    }
    await Promise.all(calls);
  };
  const degraded = (): number => limiter.decisions.reduce((sum, one) => sum + one.degraded, 0);
  /** Looks at it while Redis is there all the time, or away: it may leave for a moment on a machine with much to do. */
  const holds = async (name: string): Promise<string> => {
    for (let attempt = 0; ; attempt++) {
      const user = `${name}-${attempt}`;
      const [wasAway, before] = [redis.isAway, degraded()];
      const all: number[] = [];
      for (let call = 0; call < 8; call++) all.push(await ask(user));
      const hasLeft = wasAway !== redis.isAway || (!wasAway && degraded() > before);
      if (hasLeft && attempt < attempts) continue;
      assert.deepEqual(all, [200, 200, 200, 200, 200, 429, 429, 429], "the limit holds");
      return user;
    }
  };
  const backMs = async (): Promise<number> => {
    const since = time.nowMs;
    while (redis.isAway) await sleep(10);
    return time.nowMs - since;
  };

  await load(2_000);
  latencies.length = 0;
  redisServer.freeze();
  await load(10_000);
  assert.equal(redis.isAway, true);
  await holds("frozen");
  redisServer.thaw();
  assert.ok((await backMs()) <= 2_000, "in use again");
  await holds("thawed");
  await redisServer.kill();
  await load(2_000);
  await holds("killed");
  await redisServer.restart();
  assert.ok((await backMs()) <= 2_000, "in use again");
  const user = await holds("restarted");
  await load(1_000);
  await backMs(); // A machine with much to do may be late itself.
  const { used } = await limiter.usage("each", user);
  assert.ok(used > 0, "counted by Redis again");
  const slow = latencies.filter((ms) => ms > slowMs).length;
  assert.deepEqual(new Set(statuses.keys()), new Set([200, 429]));
  assert.ok(slow <= slowCalls, `${slow} of ${latencies.length} calls took longer than ${slowMs} ms`);
});
