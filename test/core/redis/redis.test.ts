import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedisLink, RedisReply } from "../../../src/core/redis/link.ts";
import { Redis, RedisAway } from "../../../src/core/redis/redis.ts";
import { toRedisOptions } from "../../../src/core/redis/redis-options.ts";
import { RedisScript } from "../../../src/core/redis/script.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Redis on a virtual clock, whose answers the test gives. */
async function rig() {
  const clock = new VirtualClock();
  const asked: { command: readonly string[]; answer: PromiseWithResolvers<RedisReply> }[] = [];
  let ready: (() => void) | undefined;
  const link: RedisLink & { isReady: boolean } = {
    isReady: true,
    send(command) {
      const answer = Promise.withResolvers<RedisReply>();
      asked.push({ command, answer });
      return answer.promise;
    },
    onReady: (listener) => (ready = listener),
    close: () => {},
  };
  const redis = new Redis(
    { url: "redis://host" },
    () => Promise.resolve(link),
    clock,
    (fn) => fn(),
  );
  await redis.connect();
  return { clock, link, asked, redis, connected: () => ready?.() };
}

test("R6 a command fails after its time, with those behind it, and three failures in a row are enough", async () => {
  const { clock, redis, asked } = await rig();
  const pair = [redis.command(["A"]), redis.command(["B"])];
  const failures = pair.map((one) => assert.rejects(one, /has not answered in 50 ms/));
  await clock.pass(49);
  assert.equal(redis.isAway, false);
  await clock.pass(1);
  await Promise.all(failures);
  assert.equal(redis.isAway, false, "two are not enough");
  const third = assert.rejects(redis.command(["C"]), /has not answered in 50 ms/);
  await clock.pass(20);
  const late = assert.rejects(redis.command(["D"]), /Redis is away/);
  await clock.pass(30);
  await Promise.all([third, late]);
  assert.equal(redis.isAway, true);
  await assert.rejects(redis.command(["E"]), RedisAway);
  assert.deepEqual(
    asked.map(({ command: [name] }) => name),
    ["A", "B", "C", "D"],
  );
});

test("R6 an answer forgets the failures before it", async () => {
  const { clock, redis, asked } = await rig();
  for (let round = 0; round < 5; round++) {
    const failed = [assert.rejects(redis.command(["A"])), assert.rejects(redis.command(["A"]))];
    await clock.pass(50);
    await Promise.all(failed);
    const good = redis.command(["B"]);
    asked.at(-1)?.answer.resolve("OK");
    assert.equal(await good, "OK");
  }
  assert.equal(redis.isAway, false);
});

test("R6 while Redis is away it is asked each second, and when it has been connected again", async () => {
  const { clock, redis, asked, link, connected } = await rig();
  link.isReady = false;
  for (let call = 0; call < 3; call++) {
    const failed = assert.rejects(redis.command(["A"]), /cannot be reached/);
    asked.at(-1)?.answer.reject(new Error("The client is closed"));
    await failed;
  }
  assert.equal(redis.isAway, true);
  const before = asked.length;
  await clock.pass(5_000);
  assert.equal(asked.length, before, "nothing is sent without a connection");
  link.isReady = true;
  await clock.pass(1_000);
  assert.deepEqual(asked.at(-1)?.command, ["PING"]);
  await clock.pass(1_000);
  assert.equal(redis.isAway, true, "the first question was not answered");
  asked.at(-1)?.answer.resolve("PONG");
  await clock.pass(0);
  connected();
  await clock.pass(0);
  asked.at(-1)?.answer.resolve("PONG");
  await clock.pass(0);
  assert.equal(redis.isAway, false);
  const questions = asked.length;
  await clock.pass(10_000);
  assert.equal(asked.length, questions, "nothing is asked while it is in use");
});

test("a script is sent by its hash, and whole where Redis does not know it", async () => {
  const { redis, asked, clock } = await rig();
  const script = new RedisScript("return 1");
  const answer = redis.run(script, ["key"], ["1"]);
  asked[0]?.answer.reject(new Error("NOSCRIPT No matching script."));
  await clock.pass(0);
  asked[1]?.answer.resolve(1);
  assert.equal(await answer, 1);
  assert.deepEqual(
    asked.map(({ command }) => command),
    [
      ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "key", "1"],
      ["EVAL", "return 1", "1", "key", "1"],
    ],
  );
});

test("what Redis itself refuses is no failure of the connection", async () => {
  const { redis, asked } = await rig();
  for (let call = 0; call < 10; call++) {
    const refused = assert.rejects(redis.command(["A"]), /ERR unknown command/);
    asked.at(-1)?.answer.reject(new Error("ERR unknown command"));
    await refused;
  }
  assert.equal(redis.isAway, false);
});

test("commands under way fail when it is closed", async () => {
  const { redis, clock } = await rig();
  const waiting = assert.rejects(redis.command(["A"]), RedisAway);
  redis.close();
  await waiting;
  await clock.pass(10_000);
  assert.equal(clock.nextMs, undefined);
});

test("options that cannot be used are refused, and a URL is never shown", () => {
  const table: readonly [Parameters<typeof toRedisOptions>[0], RegExp][] = [
    [{}, /needs either url, such as redis:\/\/host:6379, or sentinels/],
    [{ url: "http://:secret@host" }, /^Redis: url must be a URL such as redis:\/\/host:6379$/],
    [{ sentinels: ["host:26379"] }, /sentinels and master belong together/],
    [{ sentinels: ["host"], master: "m" }, /"host" is not HOST:PORT/],
    [{ url: "redis://host", sentinels: ["h:1"], master: "m" }, /needs either/],
  ];
  for (const [options, message] of table) {
    assert.throws(
      () => toRedisOptions(options),
      (error: Error) => message.test(error.message),
    );
  }
});
