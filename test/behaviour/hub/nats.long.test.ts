import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, toCallError } from "../../../src/core/errors/errors.ts";
import { natsBus } from "../../../src/hub/bus/nats/nats-bus.ts";
import { NatsServer, withoutNats } from "../../support/nats-server.ts";
import { stallingProxy } from "../../support/stalling-proxy.ts";
import { startKept } from "./kept-rooms.ts";
import { StateWatcher as Watcher } from "./state-watcher.ts";

type Node = Awaited<ReturnType<typeof startKept>>;

function node(url: string, storage: "memory" | "file"): Promise<Node> {
  return startKept({ hub: { bus: natsBus({ servers: [url], storage }) } });
}

/** Publishes until the bus has it, again and again with one id. @returns how often that was tried */
async function publish({ state }: Node, room: string, text: string): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      await state.publish(room, { event: { case: "text", value: text } }, { id: `${room} ${text}` });
      return attempt;
    } catch (reason) {
      if (toCallError(reason).code !== Code.Unavailable) throw reason;
      await pause(50);
    }
  }
}

/** Joins a room, as soon as that can be joined. */
async function watch(from: Node, room: string): Promise<Watcher> {
  for (;;) {
    const watcher = new Watcher(from, room);
    if ((await watcher.settled) === "joined") return watcher;
    await pause(50);
  }
}

if (withoutNats !== false) test("R06 R08 R09 NATS is mute, killed, or away", { skip: withoutNats }, () => {});
else {
  let server: NatsServer;
  before(async () => {
    server = await NatsServer.start();
  });
  after(() => server.stop());

  test("R06: a connection to NATS that is open and brings nothing is found by a probe, and what was missed is filled", async (t) => {
    const probeMs = 1_000;
    await using proxy = await stallingProxy(server.port);
    const direct = natsBus({ servers: [server.url], storage: "memory" });
    await using first = await startKept({ hub: { bus: direct, name: "mute" } });
    const bus = natsBus({ servers: [`nats://127.0.0.1:${proxy.port}`], storage: "memory", probeMs });
    await using second = await startKept({ hub: { bus, name: "mute" } });
    const watcher = await watch(second, "mute");
    await publish(first, "mute", "before");
    await watcher.has("before");
    const stalledMs = performance.now();
    proxy.stall();
    const all = ["before", ...Array.from({ length: 20 }, (_, i) => `${i}`)];
    for (const text of all.slice(1)) await publish(first, "mute", text);
    await watcher.has("19");
    const filledMs = performance.now() - stalledMs;
    t.diagnostic(`filled after ${Math.round(filledMs)} ms`);
    assert.ok(filledMs <= 2 * probeMs + 1_000, `${filledMs} ms`);
    assert.deepEqual(watcher.got, all);
    await publish(first, "mute", "live");
    await watcher.has("live");
    watcher.leave();
  });

  test("R08 NATS is killed and comes back with its store: nothing is lost, doubled or reset", async () => {
    await using first = await node(server.url, "file");
    await using second = await node(server.url, "file");
    const watchers = [await watch(first, "kept"), await watch(second, "kept")];
    let isOver = false;
    const killing = (async () => {
      for (let kill = 0; kill < 3; kill++) {
        await pause(300);
        await server.kill();
        await pause(100);
        await server.restart();
      }
      isOver = true;
    })();
    let [count, tries] = [0, 0];
    for (; !isOver || count < 120; count++) {
      tries += await publish(count % 2 === 0 ? first : second, "kept", `${count}`);
    }
    await killing;
    await publish(first, "kept", "last");
    const expected = [...Array.from({ length: count }, (_, i) => `${i}`), "last"];
    for (const watcher of watchers) await watcher.has("last");
    for (const watcher of watchers) {
      assert.deepEqual(watcher.got, expected);
      watcher.leave();
    }
    assert.ok(tries > count);
  });

  test("R08 NATS comes back without its store: one reset, and everything from then on", async () => {
    await using first = await node(server.url, "memory");
    await using second = await node(server.url, "memory");
    const watchers = [await watch(first, "lost"), await watch(second, "lost")];
    const changes: boolean[] = [];
    first.hub.on("bus", ({ isUp }) => changes.push(isUp));
    await publish(first, "lost", "before");
    for (const watcher of watchers) await watcher.has("before");
    await server.kill();
    server.empty();
    await server.restart();
    for (let i = 0; i < 20; i++) await publish(i % 2 === 0 ? first : second, "lost", `${i}`);
    for (const watcher of watchers) {
      await watcher.has("19");
      const at = watcher.got.indexOf("before");
      assert.deepEqual(watcher.got.slice(at + 1), ["reset", ...Array.from({ length: 20 }, (_, i) => `${i}`)]);
      watcher.leave();
    }
    assert.deepEqual(changes, [false, true]);
    assert.ok((await first.hub.statistics({ cluster: true })).gaps >= 2, "what is lost is counted, at both");
  });

  test("R09 NATS is away from the start: joins and publications are refused, and it is well as soon as NATS is there", async () => {
    const later = await NatsServer.start();
    await later.kill();
    await using only = await node(later.url, "memory");
    const startedMs = performance.now();
    const client = createClient(LiveService, dial(only.grpcAddress));
    const joined = client.followState({ room: "a" })[Symbol.asyncIterator]().next();
    await assert.rejects(joined, { code: Code.Unavailable });
    await assert.rejects(only.state.publish("a", { event: { case: "text", value: "1" } }), {
      code: Code.Unavailable,
    });
    assert.ok(performance.now() - startedMs < 5_000);
    await later.restart();
    const thereMs = performance.now();
    const watcher = await watch(only, "a");
    assert.ok(performance.now() - thereMs < 5_500);
    await publish(only, "a", "1");
    await watcher.has("1");
    assert.deepEqual(watcher.got, ["1"]);
    watcher.leave();
    await later.stop();
  });
}
