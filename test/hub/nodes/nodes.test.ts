import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Int32ValueSchema, StringValueSchema, UInt64ValueSchema } from "@bufbuild/protobuf/wkt";
import { HeartbeatSchema, NodeFrameSchema } from "../../../gen/ts_ms/hub/v1/node_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { MemoryStore, memoryBus } from "../../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { Nodes } from "../../../src/hub/nodes/nodes.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";
import { formOf } from "../bus/bus-contract.ts";
import { settle } from "../made-member.ts";

/** A node on a bus, what it hears of others, and its way to be mute. */
async function startNode(id: string, store: MemoryStore, clock: VirtualClock, bus: Bus = memoryBus(store)) {
  const told: string[] = [];
  const cast = bus.cast.bind(bus);
  let isMute = false;
  bus.cast = async (to, frame) => {
    if (!isMute) await cast(to, frame);
  };
  const nodes = new Nodes({
    ...{ id, bus, clock, heartbeatMs: 2_000, nodeTtlMs: 8_000, countTimeoutMs: 1_000 },
    connections: () => told.length,
  });
  nodes.listen({
    came: (node) => told.push(`${node} came`),
    gone: (node, why) => told.push(`${node} ${why}`),
  });
  nodes.onCast(StringValueSchema, (from, { value }) => told.push(`${from}: ${value}`));
  const node = { name: "hub", id, clock, form: formOf(id, clock), published: () => {}, begun: () => {} };
  const start = async () => {
    await bus.start({
      ...node,
      frame: (bytes) => nodes.frame(bytes),
      busIs: (isUp) => nodes.busIs(isUp),
    });
    nodes.start();
    await settle();
  };
  await start();
  return {
    nodes,
    told,
    bus,
    start,
    mute: (be: boolean) => (isMute = be),
    names: () => nodes.others.map((other) => other.id).sort(),
  };
}

async function three() {
  const store = new MemoryStore();
  const clock = new VirtualClock(5);
  const a = await startNode("a", store, clock);
  const b = await startNode("b", store, clock);
  const c = await startNode("c", store, clock);
  return { store, clock, a, b, c };
}

test("a node that comes hears of all others at once, and they of it", async () => {
  const { clock, a, b, c } = await three();
  assert.deepEqual(
    [a.names(), b.names(), c.names()],
    [
      ["b", "c"],
      ["a", "c"],
      ["a", "b"],
    ],
  );
  assert.deepEqual(a.told, ["b came", "c came"]);
  await clock.pass(60_000);
  assert.deepEqual([a.told.length, b.told.length, c.told.length], [2, 2, 2], "heartbeats keep them");
  assert.equal(a.nodes.others[0]?.connections, 2, "as the heartbeat says");
});

test("a bus of one process alone has no timers and no frames", async () => {
  const clock = new VirtualClock();
  const { nodes, bus } = await startNode("a", new MemoryStore(), clock, memoryBus());
  let casts = 0;
  bus.cast = async () => void casts++;
  await nodes.cast(StringValueSchema, { value: "unheard" });
  const { answers, unreachable } = await nodes.ask(StringValueSchema, Int32ValueSchema, { value: "?" });
  await nodes.stop();
  assert.deepEqual([clock.nextMs, casts, answers, unreachable], [undefined, 0, [], []]);
});

test("rule 38: a node that stops well is gone at once, one that dies after the time, and a second life is another node", async () => {
  const { clock, a, b, c } = await three();
  await b.nodes.stop();
  await b.bus.close();
  assert.deepEqual(a.told.slice(2), ["b stopped"]);
  assert.deepEqual(b.told.slice(-2), ["a stopped", "c stopped"], "for itself it is alone");
  c.mute(true);
  await clock.pass(7_999);
  assert.deepEqual(a.names(), ["c"]);
  await clock.pass(1);
  assert.deepEqual([a.names(), a.told.slice(3)], [[], ["c died"]]);
  c.mute(false);
  await clock.pass(2_000);
  assert.deepEqual(a.told.slice(4), ["c came"]);
  await b.start();
  assert.deepEqual(a.told.slice(5), ["b came"]);
  assert.deepEqual(b.names(), ["a", "c"]);
});

test("a late frame of a life that has stopped brings no node back", async () => {
  const { a, b, c } = await three();
  const part = { type: HeartbeatSchema.typeName, body: new Uint8Array() };
  const late = toBinary(NodeFrameSchema, create(NodeFrameSchema, { version: 1, from: "b", life: 1, part }));
  await b.nodes.stop();
  await c.bus.cast("a", late);
  assert.deepEqual(a.names(), ["c"]);
});

test("a request is answered by all, and names those that are silent or refuse", async () => {
  const { clock, a, b, c } = await three();
  const length = ({ value }: { readonly value: string }) => ({ value: value.length });
  b.nodes.onAsk(StringValueSchema, Int32ValueSchema, length);
  c.nodes.onAsk(StringValueSchema, Int32ValueSchema, async (request) => length(request));
  const ask = (value: string, among?: readonly string[]) =>
    a.nodes.ask(StringValueSchema, Int32ValueSchema, { value }, among);
  const texts = (answers: Awaited<ReturnType<typeof ask>>["answers"]) =>
    answers.map(({ node, answer }) => `${node}=${answer.value}`).sort();
  const all = await ask("four");
  assert.deepEqual([texts(all.answers), all.unreachable], [["b=4", "c=4"], []]);
  const one = await ask("seven", ["c", "unknown"]);
  assert.deepEqual([texts(one.answers), one.unreachable], [["c=5"], []]);

  c.mute(true);
  const late = ask("x");
  let isDone = false;
  void late.finally(() => (isDone = true));
  await clock.pass(999);
  assert.equal(isDone, false);
  await clock.pass(1);
  assert.deepEqual([texts((await late).answers), (await late).unreachable], [["b=1"], ["c"]]);

  c.mute(false);
  c.nodes.onAsk(StringValueSchema, Int32ValueSchema, () => {
    throw new ConnectError("not now", Code.ResourceExhausted);
  });
  const refused = await ask("x");
  assert.deepEqual([texts(refused.answers), refused.unreachable], [["b=1"], ["c"]]);
  const unknown = await a.nodes.ask(UInt64ValueSchema, Int32ValueSchema, { value: 1n });
  assert.deepEqual(unknown.unreachable, ["b", "c"], "of a later release");

  a.bus.cast = () => Promise.reject(new ConnectError("away", Code.Unavailable));
  const away = await ask("x");
  assert.deepEqual([away.answers, away.unreachable], [[], ["b", "c"]]);
});

test("a node that stops while it is asked is waited for no more, and is not unreachable", async () => {
  const { a, b, c } = await three();
  b.nodes.onAsk(StringValueSchema, Int32ValueSchema, () => ({ value: 1 }));
  c.nodes.onAsk(StringValueSchema, Int32ValueSchema, () => new Promise(() => {}));
  const asked = a.nodes.ask(StringValueSchema, Int32ValueSchema, { value: "x" });
  await settle();
  await c.nodes.stop();
  const { answers, unreachable } = await asked;
  assert.deepEqual([answers.map(({ node }) => node), unreachable], [["b"], []]);
});

test("casts reach one node or all others, and heartbeats repeat what rooms put there", async () => {
  const { clock, a, b, c } = await three();
  await a.nodes.cast(StringValueSchema, { value: "all" });
  await a.nodes.cast(StringValueSchema, { value: "one" }, "b");
  assert.deepEqual([b.told.slice(2), c.told.slice(2)], [["a: all", "a: one"], ["a: all"]]);
  assert.deepEqual(a.told, ["b came", "c came"], "not this one");

  let number = 0;
  const heard: string[] = [];
  const say = () => (number > 0 ? { value: number } : undefined);
  a.nodes.inHeartbeat(Int32ValueSchema, { say, heard: () => {} });
  b.nodes.inHeartbeat(Int32ValueSchema, {
    say: () => undefined,
    heard: (node, { value }) => heard.push(`${node} ${value}`),
  });
  await clock.pass(2_000);
  number = 7;
  await clock.pass(2_000);
  assert.deepEqual(heard, ["a 7"]);
});

test("a listener that throws becomes a warning, and others hear all the same", async () => {
  const { a, b } = await three();
  b.nodes.onCast(Int32ValueSchema, () => {
    throw new Error("of the listener");
  });
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  await a.nodes.cast(Int32ValueSchema, { value: 1 });
  await a.nodes.cast(StringValueSchema, { value: "on" });
  assert.equal((await warned).message, "of the listener");
  assert.equal(b.told.at(-1), "a: on");
});

test("R18: frames of other releases are ignored, and garbage is counted", async () => {
  const { a, b } = await three();
  const random = seeded(18);
  const frame = (init: object) =>
    toBinary(NodeFrameSchema, create(NodeFrameSchema, { version: 1, from: "b", life: 1, ...init }));
  const of = (type: string, body: string) => ({ part: { type, body: Buffer.from(body) } });
  await b.bus.cast("all", frame({ version: 2, ...of(StringValueSchema.typeName, "") }));
  await b.bus.cast("all", frame(of("ts_ms.hub.v9.Later", "anything")));
  await b.bus.cast(
    "all",
    Buffer.concat([frame(of("ts_ms.hub.v9.Later", "")), Buffer.from([0xf8, 0x7f, 0x01])]),
  );
  assert.equal(a.nodes.brokenFrames, 0, "an unknown field is one of a later release");
  const garbage = [
    Buffer.alloc(0),
    Buffer.from("not a frame"),
    frame({ version: 0 }),
    frame({ from: "../b" }),
    frame({ life: 0 }),
    frame({}),
    frame(of(StringValueSchema.typeName, "\xff\xff")),
    frame(of(HeartbeatSchema.typeName, "\xff\xff")),
  ];
  for (const bytes of garbage) await b.bus.cast("all", bytes);
  assert.equal(a.nodes.brokenFrames, garbage.length);
  for (let i = 0; i < 2_000; i++) {
    await b.bus.cast(
      "all",
      Uint8Array.from({ length: Math.floor(random() * 40) }, () => random() * 256),
    );
  }
  await b.nodes.cast(StringValueSchema, { value: "alive" });
  assert.deepEqual([a.told.at(-1), a.names()], ["b: alive", ["b", "c"]]);
});

test("R19: a process that has stood still takes no other node for dead", async () => {
  const { clock, a } = await three();
  class Still extends VirtualClock {
    override after(delayMs: number, fn: () => void): () => void {
      return super.after(delayMs < 100 ? delayMs : delayMs + 30_000, fn); // Its timers come 30 s late.
    }
  }
  const still = new Still();
  const slow = await startNode("d", new MemoryStore(), still);
  const beat = (from: string) => {
    const part = { type: HeartbeatSchema.typeName, body: new Uint8Array() };
    slow.nodes.frame(toBinary(NodeFrameSchema, create(NodeFrameSchema, { version: 1, from, life: 1, part })));
  };
  beat("e");
  still.advance(32_000);
  assert.deepEqual(slow.told, ["e came"], "what it has said meanwhile is not read yet");
  await clock.pass(10_000);
  assert.deepEqual(a.names(), ["b", "c"]);
});

test("nothing is held against nodes while the bus is away", async () => {
  const { clock, a, b, c } = await three();
  for (const node of [a, b, c]) {
    node.mute(true);
    node.nodes.busIs(false);
  }
  await clock.pass(60_000);
  assert.deepEqual(a.names(), ["b", "c"]);
  for (const node of [a, b]) node.mute(false);
  a.nodes.busIs(true);
  b.nodes.busIs(true);
  await settle();
  await clock.pass(8_000);
  assert.deepEqual(
    [a.names(), a.told.slice(2)],
    [["b"], ["c died"]],
    "its bus is away still, and it is silent",
  );
});

test("hubs whose buses have one store are nodes of one another, and say so when they stop", async () => {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const make = () => new Hub({ bus: memoryBus(store) }, { clock });
  const [first, second] = [make(), make()];
  await settle();
  assert.deepEqual(first.nodes(), [
    { id: first.node, isLocal: true, connections: 0 },
    { id: second.node, isLocal: false, connections: 0 },
  ]);
  await second.stop();
  await settle();
  assert.equal(first.nodes().length, 1);
  assert.throws(() => new Hub({ heartbeatMs: 5_000, nodeTtlMs: 5_000 }), /heartbeatMs .* nodeTtlMs/);
});
