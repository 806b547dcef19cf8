/** Nodes of a hub on Redis that are processes of their own, and stand still. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@redis/client";
import { FollowStateResponseSchema, WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { redisBus } from "../../src/hub/bus/redis/redis-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { AskedProcess } from "../support/asked-process.ts";
import { RedisServer } from "../support/redis-server.ts";
import { nodeOptions, stateHistory } from "./hub-node-options.ts";

const fixture = "long/fixtures/hub-node.ts";

/** What a node has got. */
interface Got {
  readonly numbers: readonly number[];
  readonly resets: number;
  readonly gaps: number;
}

let server: RedisServer;
before(async () => {
  server = await RedisServer.start();
});
after(() => server.stop());

/** Waits until something holds that other processes have to do. */
async function until(holds: () => boolean | Promise<boolean>, withinMs: number, what: string): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await pause(10);
  }
}

/** A node of this process. */
function startNode(name: string) {
  const hub = new Hub({ ...nodeOptions, bus: redisBus({ url: server.url }), name });
  const state = hub.topic("state", FollowStateResponseSchema, { history: stateHistory });
  const people = hub.topic("people", WatchPeopleResponseSchema, { presence: { leaveDelayMs: 1_000 } });
  hub.attach().started();
  return { hub, state, people, [Symbol.asyncDispose]: () => hub.stop() };
}

async function startProcess(name: string, user: string): Promise<AskedProcess> {
  const started = await AskedProcess.start(fixture, [server.url, name, user]);
  await until(() => started.ask<boolean>("joined"), 10_000, `${user} has joined`);
  return started;
}

test("R04: a node that stands still for 5 s, and whose channel Redis closes meanwhile, has everything once, in order", async () => {
  const client = createClient({ url: server.url });
  await client.connect();
  await client.sendCommand(["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 256kb 1"]);
  await using here = startNode("still");
  await using there = await startProcess("still", "ada");
  await until(() => here.hub.nodes().length === 2, 5_000, "both nodes");
  const filler = "x".repeat(64 * 1024);
  let count = 0;
  const say = async (): Promise<void> => {
    await here.state.publish("a", { event: { case: "text", value: `${++count} ${filler}` } });
    await pause(10);
  };
  for (let i = 0; i < 50; i++) await say();
  await until(async () => (await there.ask<Got>("got")).numbers.length === count, 5_000, "before");
  there.kill("SIGSTOP");
  const channels = async (): Promise<number> => {
    const list = await client.sendCommand<string>(["CLIENT", "LIST", "TYPE", "pubsub"]);
    return list.split("\n").filter((line) => line.includes("id=")).length;
  };
  const before = await channels();
  for (const endMs = performance.now() + 5_000; performance.now() < endMs;) await say();
  const closed = before - (await channels());
  there.kill("SIGCONT");
  await until(async () => (await there.ask<Got>("got")).numbers.length >= count, 2_000, "all, behind CONT");
  const { numbers, resets, gaps } = await there.ask<Got>("got");
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_, i) => i + 1),
  );
  assert.equal(closed, 1, "Redis has closed the channel of the node that does not read");
  assert.equal(resets, 0);
  assert.ok(gaps >= 1, `${gaps} gaps`);
  client.destroy();
});

test("R11: of three nodes one stands still and then dies: it is named, and later gone with those who were there", async (t) => {
  const { nodeTtlMs } = nodeOptions;
  await using here = startNode("three");
  await using second = await startProcess("three", "ada");
  await using third = await startProcess("three", "bob");
  await until(() => here.hub.nodes().length === 3, 5_000, "three nodes");
  await until(async () => (await here.people.presence("a")).users === 2, 5_000, "both users");
  const nodes = new Set((await here.hub.connections({ users: ["bob"] })).connections.map(({ node }) => node));
  assert.equal(nodes.size, 1);
  third.kill("SIGSTOP");
  const stoppedMs = performance.now();
  const page = await here.hub.connections();
  const tookMs = performance.now() - stoppedMs;
  assert.ok(tookMs <= 1_200, `${tookMs} ms for a list`);
  assert.deepEqual(new Set(page.unreachable), nodes);
  assert.ok(page.connections.length >= 2 && page.connections.every(({ user }) => user === "ada"));
  assert.deepEqual(new Set((await here.hub.count()).unreachable), nodes);
  await pause(500);
  third.kill("SIGKILL");
  await until(
    async () => (await here.hub.connections()).unreachable.length === 0,
    nodeTtlMs + 2_000,
    "the list is whole",
  );
  const wholeMs = performance.now() - stoppedMs;
  assert.ok(wholeMs <= nodeTtlMs + 1_000 + nodeOptions.heartbeatMs, `whole after ${wholeMs} ms`);
  await until(async () => (await here.people.presence("a")).users === 1, 5_000, "bob has left");
  const leftMs = performance.now() - stoppedMs;
  t.diagnostic(
    `a list ${Math.round(tookMs)} ms, whole after ${Math.round(wholeMs)}, left after ${Math.round(leftMs)}`,
  );
  assert.ok(leftMs <= nodeTtlMs + 1_000 + 1_000, `gone from the room after ${leftMs} ms`);
  assert.deepEqual(
    (await here.people.presence("a")).members.map(({ user }) => user),
    ["ada"],
  );
  assert.ok(await second.ask<boolean>("joined"), "the other process lives on");
});
