import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { PersonInfoSchema, WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Bus, BusNode } from "../../src/hub/bus/bus.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember } from "./made-member.ts";
import { presenceText } from "./presence-text.ts";

/** Nodes of one hub. */
async function startNodes(count: number) {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const nodes = Array.from({ length: count }, () => {
    const net = { isMute: false };
    const bus = mutable(memoryBus(store), net);
    const hub = new Hub({ bus, maxPerUser: 0, joinsPerSecond: 0 }, { clock, wallMs: () => clock.nowMs() });
    const server = hub.attach();
    server.started();
    const topic = hub.topic("people", WatchPeopleResponseSchema, { presence: {} });
    /** A member, with what it has got. */
    const join = async (user: string, room = "a") => {
      const member = await madeMember(hub, topic, room, { principal: { id: user } });
      const got: string[] = [];
      const reading = (async () => {
        for (;;) got.push(presenceText(await member.next()));
      })();
      reading.catch(() => {}); // It has left.
      await clock.pass(0);
      return { ...member, take: () => got.splice(0) };
    };
    const users = async (room = "a") =>
      (await topic.presence(room)).members.map(({ user = "" }) => user).toSorted(byText);
    return { hub, server, topic, join, users, net };
  });
  await clock.pass(100);
  return { clock, nodes };
}

function byText(one: string, other: string): number {
  return one < other ? -1 : 1;
}

/** A bus whose node can be mute, and deaf: as one that has died. */
function mutable(bus: Bus, net: { isMute: boolean }): Bus {
  const start = bus.start.bind(bus);
  const cast = bus.cast.bind(bus);
  return Object.assign(bus, {
    start: (node: BusNode) => {
      const frame = node.frame.bind(node);
      return start(
        Object.assign(node, { frame: (bytes: Uint8Array) => (net.isMute ? undefined : frame(bytes)) }),
      );
    },
    async cast(to: string, bytes: Uint8Array) {
      if (!net.isMute) await cast(to, bytes);
    },
  });
}

test("rules 35, 38: a user is present once, whatever the nodes are, and each watcher is told once", async () => {
  const { clock, nodes } = await startNodes(3);
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  const eve = await c.join("eve");
  const ada = await a.join("ada");
  await b.join("ada");
  await clock.pass(1_000);
  assert.deepEqual(eve.take().slice(1), ["JOIN eve×1,ada×2 2/3"]);
  for (const { users } of nodes) assert.deepEqual(await users(), ["ada", "eve"]);
  ada.leave();
  await clock.pass(3_000);
  await c.join("ada");
  await clock.pass(10_000);
  assert.deepEqual(eve.take(), [], "the page was opened again at another node");
});

test("R12: a user with tabs on two nodes does not leave when one of them dies", async () => {
  const { clock, nodes } = await startNodes(3);
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  const eve = await c.join("eve");
  await a.join("ada");
  await b.join("ada");
  await a.join("bob");
  await clock.pass(1_000);
  eve.take();
  const diedMs = clock.nowMs();
  a.net.isMute = true;
  await clock.pass(12_000);
  assert.deepEqual(eve.take(), []);
  await clock.pass(2_000);
  assert.deepEqual(eve.take(), ["LEAVE bob×1 2/2", "UPDATE ada×1 2/2"]);
  assert.ok(clock.nowMs() - diedMs <= 8_000 + 5_000 + 1_000, "nodeTtlMs, leave_delay and a second");
  assert.deepEqual(
    [await b.users(), await c.users()],
    [
      ["ada", "eve"],
      ["ada", "eve"],
    ],
  );
});

test("rule 38: a node that stops well tells at once, and its second life is another node", async () => {
  const { clock, nodes } = await startNodes(2);
  const [a, b] = nodes;
  assert.ok(a && b);
  const eve = await b.join("eve");
  const ada = await a.join("ada");
  await clock.pass(1_000);
  eve.take();
  a.server.stopped();
  ada.leave();
  await clock.pass(5_600);
  assert.deepEqual(eve.take(), ["LEAVE ada×1 1/1"]);
  a.server.started();
  await clock.pass(100);
  await a.join("ada");
  await clock.pass(1_000);
  assert.deepEqual(eve.take(), ["JOIN ada×1 2/2"]);
  assert.deepEqual(await a.users(), ["ada", "eve"], "it has asked for what is there");
});

test("rule 38: a node that has missed changes sees it by the next heartbeat, and asks for all", async () => {
  const { clock, nodes } = await startNodes(2);
  const [a, b] = nodes;
  assert.ok(a && b);
  const eve = await b.join("eve");
  const gone = await a.join("kim");
  await clock.pass(1_000);
  eve.take();
  a.net.isMute = true;
  gone.leave();
  for (let i = 0; i < 1_500; i++) await a.join(`u${i}`, "b");
  await a.join("ada");
  await clock.pass(100);
  a.net.isMute = false;
  assert.deepEqual(await b.users(), ["eve", "kim"]);
  await clock.pass(2_600);
  assert.deepEqual(eve.take(), ["JOIN ada×1 3/3"]);
  // It is read over as many turns of the event loop as it takes.
  while ((await b.topic.presence("b")).users < 1_500) await clock.pass(100);
  await clock.pass(5_000);
  assert.deepEqual(eve.take(), ["LEAVE kim×1 2/2"]);
});

test("setInfo reaches the connections of other nodes, with their limits", async () => {
  const { clock, nodes } = await startNodes(2);
  const [a, b] = nodes;
  assert.ok(a && b);
  const eve = await b.join("eve");
  await clock.pass(1_000);
  eve.take();
  const [{ id } = { id: "" }] = (await b.hub.connections({}, { local: true })).connections;
  const info = create(PersonInfoSchema, { mood: "glad" });
  await a.topic.setInfo(id, "a", info);
  const error = await a.topic.setInfo(id, "a", info).catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(error instanceof ConnectError && error.code === Code.ResourceExhausted, String(error));
  const missing = await a.topic.setInfo(id, "b", info).catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(missing instanceof ConnectError && missing.code === Code.NotFound, String(missing));
  await clock.pass(600);
  assert.deepEqual(eve.take(), ["UPDATE eve×1=glad 1/1"]);
});
