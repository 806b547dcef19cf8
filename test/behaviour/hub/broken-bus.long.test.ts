/** Rule 62: what a page of metrics says of a bus that breaks, value by value, with servers that are hurt. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { createClient } from "@redis/client";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { natsBus } from "../../../src/hub/bus/nats/nats-bus.ts";
import { redisBus } from "../../../src/hub/bus/redis/redis-bus.ts";
import { failure } from "../../support/failure.ts";
import type { KeptServer } from "../../support/kept-server.ts";
import { NatsServer, withoutNats } from "../../support/nats-server.ts";
import { RedisServer } from "../../support/redis-server.ts";
import { someSeries } from "./hub-series.ts";
import { startKept } from "./kept-rooms.ts";
import { StateWatcher } from "./state-watcher.ts";

type Node = Awaited<ReturnType<typeof startKept>>;

const startNode = (bus: Bus): Promise<Node> =>
  startKept({ hub: { bus, name: "broken", checkMs: 500, probeMs: 60_000 } });

const say = ({ state }: Node, value: string) => state.publish("r", { event: { case: "text", value } });

/** Waits until metrics are as they should be. */
async function become(node: Node, due: Readonly<Record<string, number>>, ...names: readonly string[]) {
  const endMs = performance.now() + 10_000;
  for (;;) {
    const found = await someSeries(node, ...names);
    if (performance.now() > endMs) return assert.deepEqual(found, due);
    if (isDeepStrictEqual(found, due)) return undefined;
    await pause(10);
  }
}

/** Kills what a bus is on, and starts it again. */
async function isAwayAndBack(node: Node, name: string, server: KeptServer): Promise<void> {
  await server.kill();
  await become(node, {}, "bus_up");
  await failure(say(node, "nobody hears it"));
  const of = (op: string): string => `{bus="${name}",op="${op}"}`;
  const errors = async () => someSeries(node, "bus_errors_total");
  while (!(`bus_errors_total${of("connect")}` in (await errors()))) await pause(10);
  assert.equal((await errors())[`bus_errors_total${of("publish")}`], 1);
  await server.restart();
  await become(node, { [`bus_up{bus="${name}"}`]: 1 }, "bus_up");
  const took = await someSeries(node, "bus_seconds_count");
  for (const op of ["publish", "cast", "connect"])
    assert.ok((took[`bus_seconds_count${of(op)}`] ?? 0) > 0, op);
}

test("redis, rule 62: gaps, frames that cannot be read, and a bus that is away", async () => {
  const server = await RedisServer.start();
  const redis = createClient({ url: server.url });
  redis.on("error", () => {}); // It is away for a while.
  await redis.connect();
  await using here = await startNode(redisBus({ url: server.url }));
  await using there = await startNode(redisBus({ url: server.url }));
  const watcher = new StateWatcher(there, "r");
  const gaps = ["gaps_total", "resets_total"];
  const bus = ["bus_up", "nodes", "bus_errors_total"];
  try {
    for (const node of [here, there]) await become(node, { nodes: 2, 'bus_up{bus="redis"}': 1 }, ...bus);
    assert.equal(await watcher.settled, "joined");
    await say(here, "one");
    await watcher.has("one");
    await redis.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]);
    await say(here, "two");
    await watcher.has("two");
    await become(there, { 'gaps_total{topic="state",outcome="filled"}': 1 }, ...gaps);
    await redis.flushAll();
    await say(here, "three");
    await watcher.has("three");
    assert.deepEqual(watcher.got, ["one", "two", "reset", "three"]);
    const lost = {
      'gaps_total{topic="state",outcome="filled"}': 1,
      'gaps_total{topic="state",outcome="lost"}': 1,
      'resets_total{topic="state",reason="BUS"}': 1,
    };
    assert.deepEqual(await someSeries(there, ...gaps), lost);
    assert.deepEqual(await someSeries(here, ...gaps), {});
    const channels = await redis.pubSubChannels("*broken:n:*");
    const channel = channels.find((name) => !name.endsWith(":all")) ?? "";
    assert.equal(await redis.publish(channel, "no frame"), 1);
    const broken = async () =>
      Object.keys({ ...(await someSeries(here, bus[2] ?? "")), ...(await someSeries(there, bus[2] ?? "")) });
    while (!(await broken()).includes('bus_errors_total{bus="redis",op="frame"}')) await pause(10);
    await isAwayAndBack(here, "redis", server);
  } finally {
    watcher.leave();
    redis.destroy();
    await here.hub.stop();
    await there.hub.stop();
    await server.stop();
  }
});

test("nats, rule 62: a bus that is away", { skip: withoutNats }, async () => {
  const server = await NatsServer.start();
  const node = await startNode(natsBus({ servers: [server.url] }));
  try {
    await become(node, { nodes: 1, 'bus_up{bus="nats"}': 1 }, "nodes", "bus_up");
    await say(node, "one");
    await isAwayAndBack(node, "nats", server);
  } finally {
    await node[Symbol.asyncDispose]();
    await server.stop();
  }
});
