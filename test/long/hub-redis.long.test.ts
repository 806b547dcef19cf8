import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@redis/client";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { FollowStateResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { redisBus } from "../../src/hub/bus/redis/redis-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { HubOptions } from "../../src/hub/hub-options.ts";
import { madeMember } from "../hub/made-member.ts";
import { failure } from "../support/failure.ts";
import { RedisServer } from "../support/redis-server.ts";
import { stallingProxy } from "../support/stalling-proxy.ts";

let server: RedisServer;
const hubs: Hub[] = [];
let number = 0;

before(async () => {
  server = await RedisServer.start();
});
after(async () => {
  await Promise.all(hubs.map((hub) => hub.stop()));
  await server.stop();
});

/** Waits until something holds that other processes have to do. */
async function until(holds: () => boolean | Promise<boolean>, withinMs: number, what: string): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await pause(10);
  }
}

/** Nodes of one hub of its own, with a topic whose messages can say that some are missing. */
async function nodes(count: number, options: Partial<HubOptions> = {}, url = server.url) {
  const name = `hub-${++number}`;
  const all = Array.from({ length: count }, () => {
    const bus = redisBus({ url });
    const hub = new Hub({
      bus,
      name,
      joinsPerSecond: 0,
      maxPerUser: 0,
      checkMs: 2_000,
      probeMs: 1_000,
      ...options,
    });
    hubs.push(hub);
    return { hub, topic: hub.topic("told", FollowStateResponseSchema, { history: { size: 1_000 } }) };
  });
  return all;
}

const said = (value: string) => ({ event: { case: "text" as const, value } });

type Node = Awaited<ReturnType<typeof nodes>>[number];

/** Joins as soon as the bus is there. */
async function joined({ hub, topic }: Node, room = "a") {
  const texts: string[] = [];
  let resets = 0;
  await until(
    () =>
      topic.position(room).then(
        () => true,
        () => false,
      ),
    10_000,
    "the bus is up",
  );
  let member = await madeMember(hub, topic, room);
  await until(
    async () => {
      await pause(100);
      if (member.header("ts-ms-position") !== null) return true;
      member.leave(); // The join was refused, as the bus was away, or takes long.
      member = await madeMember(hub, topic, room);
      await pause(200);
      return member.header("ts-ms-position") !== null;
    },
    10_000,
    "the member is there",
  );
  void (async () => {
    for (;;) {
      const { event } = await member.next();
      if (event.case === "text") texts.push(event.value);
      else resets++;
    }
  })().catch(() => {});
  return { texts, resets: () => resets, leave: member.leave };
}

/** Publishes until the bus takes it. */
async function say({ topic }: Node, text: string, room = "a"): Promise<void> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    try {
      await topic.publish(room, said(text), { id: text });
      return;
    } catch (reason) {
      if (performance.now() > endMs || ConnectError.from(reason).code !== Code.Unavailable) throw reason;
      await pause(20);
    }
  }
}

/** Where a proxy of this machine is. */
const proxyUrl = (port: number): string => `redis://127.0.0.1:${port}`;

/** A client beside the hubs. */
async function withRedis(
  work: (send: (command: string[]) => Promise<unknown>) => Promise<unknown>,
  url = server.url,
): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  await work((command) => client.sendCommand(command));
  client.destroy();
}

test("two nodes on Redis: members of both get what each publishes, in one order, and find one another", async () => {
  const [a, b] = (await nodes(2)) as [Node, Node];
  const [here, there] = [await joined(a), await joined(b)];
  await until(() => a.hub.nodes().length === 2 && b.hub.nodes().length === 2, 5_000, "nodes");
  await Promise.all(Array.from({ length: 200 }, (_, i) => say(i % 2 === 0 ? a : b, `${i}`)));
  await until(() => there.texts.length === 200 && here.texts.length === 200, 5_000, "all");
  assert.deepEqual(here.texts, there.texts);
  const receipt = await a.topic.publish("a", said("last"), { count: "cluster" });
  assert.deepEqual([receipt.members, receipt.unreachable], [2, []]);
  assert.equal((await b.hub.count()).total, 2);
  assert.deepEqual([here.resets(), there.resets()], [0, 0]);
});

test("R04: connections for channels that are killed again and again lose nothing and double nothing", async () => {
  const [a, b] = (await nodes(2)) as [Node, Node];
  const there = await joined(b);
  const all: string[] = [];
  await withRedis(async (send) => {
    for (let round = 0; round < 25; round++) {
      await send(["CLIENT", "KILL", "TYPE", "pubsub"]);
      for (let i = 0; i < 20; i++) {
        all.push(`${round}.${i}`);
        await say(a, `${round}.${i}`);
        await pause(10);
      }
    }
  });
  await until(() => there.texts.length >= all.length, 10_000, "all are there");
  assert.deepEqual(there.texts, all);
  assert.equal(there.resets(), 0);
});

test("R06: connections to Redis that are open and bring nothing are found by probes, and what was missed is filled", async (t) => {
  const probeMs = 1_000;
  await using proxy = await stallingProxy(server.port);
  const [a] = (await nodes(1, { probeMs, checkMs: 60_000 })) as [Node];
  const [b] = (await nodes(1, { probeMs, checkMs: 60_000, name: `hub-${number}` }, proxyUrl(proxy.port))) as [
    Node,
  ];
  const there = await joined(b);
  await say(a, "before");
  await until(() => there.texts.length === 1, 2_000, "before");
  const changes: string[] = [];
  const stalledMs = performance.now();
  b.hub.on("bus", ({ isUp }) => changes.push(`${isUp} ${Math.round(performance.now() - stalledMs)}`));
  proxy.stall();
  const all = ["before"];
  for (let i = 0; i < 20; i++) {
    all.push(`${i}`);
    await say(a, `${i}`);
  }
  await until(() => there.texts.length === all.length, 2 * probeMs + 1_000, "found and filled");
  t.diagnostic(`filled after ${Math.round(performance.now() - stalledMs)} ms: ${changes.join(", ")}`);
  assert.deepEqual(there.texts, all);
  assert.equal(there.resets(), 0);
  await say(a, "live");
  await until(() => there.texts.at(-1) === "live", 1_000, "live again");
});

test("R07: a Redis that comes back with an older snapshot is one reset, idle members too, and everything behind it", async () => {
  const kept = await RedisServer.start();
  try {
    const [a, b] = (await nodes(2, {}, kept.url)) as [Node, Node];
    const [here, there, idle] = [await joined(a), await joined(b), await joined(b, "idle")];
    for (let i = 0; i < 10; i++) await say(a, `kept ${i}`);
    await say(a, "once", "idle");
    await withRedis(async (send) => send(["SAVE"]), kept.url);
    for (let i = 0; i < 10; i++) await say(a, `lost ${i}`);
    await say(a, "twice", "idle");
    await until(() => there.texts.length === 20 && here.texts.length === 20, 5_000, "before");
    await until(() => idle.texts.length === 2, 5_000, "before, in the other room");
    await kept.kill();
    await kept.restart();
    for (let i = 0; i < 25; i++) await say(i % 2 === 0 ? b : a, `after ${i}`);
    for (const { texts, resets } of [here, there]) {
      await until(() => texts.at(-1) === "after 24", 10_000, "after");
      const begun = texts.findIndex((text) => text === "after 0");
      assert.deepEqual(
        texts.slice(begun),
        Array.from({ length: 25 }, (_, i) => `after ${i}`),
      );
      assert.equal(resets(), 1);
    }
    await until(() => idle.resets() === 1, 4_000, "a reset in the idle room, by checkMs");
  } finally {
    await Promise.all(hubs.splice(-2).map((hub) => hub.stop()));
    await kept.stop();
  }
});

test("R07: a Redis that comes back empty is one reset for each member, and everything behind it comes", async () => {
  const [a, b] = (await nodes(2)) as [Node, Node];
  const [here, there] = [await joined(a), await joined(b)];
  for (let i = 0; i < 10; i++) await say(a, `before ${i}`);
  await until(() => there.texts.length === 10, 5_000, "before");
  await server.kill();
  assert.equal((await failure(a.topic.publish("a", said("lost")))).code, Code.Unavailable);
  await server.restart();
  for (let i = 0; i < 10; i++) await say(b, `after ${i}`);
  for (const { texts, resets } of [here, there]) {
    await until(() => texts.at(-1) === "after 9", 10_000, "after");
    assert.deepEqual(
      texts.slice(10),
      Array.from({ length: 10 }, (_, i) => `after ${i}`),
    );
    assert.equal(resets(), 1);
  }
});

test("R07: FLUSHALL under load is one reset for each member, idle ones too, and nothing behind it is missing", async () => {
  const [a, b] = (await nodes(2)) as [Node, Node];
  const [busy, idle] = [await joined(b, "busy"), await joined(b, "idle")];
  for (let i = 0; i < 20; i++) await say(a, `${i}`, "busy");
  await say(a, "once", "idle");
  await until(() => idle.texts.length === 1 && busy.texts.length === 20, 5_000, "before");
  await withRedis(async (send) => send(["FLUSHALL"]));
  for (let i = 20; i < 40; i++) await say(a, `${i}`, "busy");
  await until(() => busy.texts.at(-1) === "39" && idle.resets() === 1, 6_000, "behind");
  assert.deepEqual(
    busy.texts,
    Array.from({ length: 40 }, (_, i) => `${i}`),
  );
  assert.deepEqual([busy.resets(), idle.resets()], [1, 1]);
});

test("R09: a Redis that is away at the start and later is UNAVAILABLE in time, and well again soon", async () => {
  await server.kill();
  const [a] = (await nodes(1)) as [Node];
  const beganMs = performance.now();
  assert.equal((await failure(a.topic.publish("a", said("x")))).code, Code.Unavailable);
  assert.equal((await failure(a.topic.position("a"))).code, Code.Unavailable);
  assert.ok(performance.now() - beganMs < 2_000);
  await until(async () => !(await a.hub.statistics()).busUp, 2_000, "statistics say that it is away");
  const changes: string[] = [];
  a.hub.on("bus", ({ name, isUp }) => changes.push(`${name} ${isUp}`));
  await server.restart();
  const member = await joined(a);
  assert.deepEqual([changes, (await a.hub.statistics()).busUp], [["redis true"], true]);
  await say(a, "well");
  await until(() => member.texts.length === 1, 6_000, "well again");
});

test("R10: a Redis that answers late is PUBLISH_UNKNOWN, and the same id is delivered once", async () => {
  const [a] = (await nodes(1, { publishTimeoutMs: 500, probeMs: 10_000 })) as [Node];
  const member = await joined(a);
  await withRedis(async (send) => send(["CLIENT", "PAUSE", "1500", "ALL"]));
  const error = await failure(a.topic.publish("a", said("once"), { id: "one" }));
  assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "PUBLISH_UNKNOWN");
  await until(
    () =>
      a.topic.publish("a", said("once"), { id: "one" }).then(
        ({ duplicate }) => duplicate,
        () => false,
      ),
    5_000,
    "it was published",
  );
  await say(a, "next");
  await until(() => member.texts.includes("next"), 5_000, "next");
  assert.deepEqual(member.texts, ["once", "next"]);
});
