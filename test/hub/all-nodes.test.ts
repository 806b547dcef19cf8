import assert from "node:assert/strict";
import { test } from "node:test";
import { FollowRoomsResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { FeedService } from "../../gen/tsms/test/v1/feed_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Connection } from "../../src/hub/connections/connection.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { failure } from "../support/failure.ts";
import { madeCall, type MadeCall } from "../support/made-call.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember, settle } from "./made-member.ts";

/** A node whose connections a test makes, and which can fall silent. */
function startNode(store: MemoryStore, clock: VirtualClock) {
  const bus = memoryBus(store);
  const cast = bus.cast.bind(bus);
  let isMute = false;
  bus.cast = async (to, frame) => {
    if (!isMute) await cast(to, frame);
  };
  const hub = new Hub(
    { bus, joinsPerSecond: 0, maxPerUser: 0 },
    { clock, wallMs: () => clock.nowMs(), random: () => 0.5 },
  );
  const topic = hub.topic("chat", FollowRoomsResponseSchema, { history: { size: 10 } });
  const open = async (user: string, call: MadeCall = {}) => {
    const head = madeCall({ method: FeedService.method.follow, principal: { id: user }, ...call });
    try {
      await hub.attach().gate.admit(head);
      return head.context;
    } catch (reason) {
      head.context.end();
      return ConnectError.from(reason);
    }
  };
  const join = (user: string, room: string) => madeMember(hub, topic, room, { principal: { id: user } });
  return { hub, topic, open, join, mute: () => (isMute = true) };
}

/** Three nodes of one hub, in the order of their ids. */
async function three() {
  const store = new MemoryStore();
  const clock = new VirtualClock(1_000);
  const made = [startNode(store, clock), startNode(store, clock), startNode(store, clock)];
  await settle();
  const [a, b, c] = made.sort((one, other) => (one.hub.node < other.hub.node ? -1 : 1));
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  return { a, b, c, clock, store };
}

const usersOf = (connections: readonly Connection[]) => connections.map(({ user }) => user);

test("rule 3: a list has the connections of all nodes in the order of their ids, each on one page", async () => {
  const { a, b, c } = await three();
  for (let i = 0; i < 5; i++)
    for (const [name, node] of Object.entries({ a, b, c })) await node.open(`${name}${i}`);
  const all: string[] = [];
  let pageToken: string | undefined = "";
  for (let pages = 0; pageToken !== undefined; pages++) {
    const page: Awaited<ReturnType<Hub["connections"]>> = await b.hub.connections(
      {},
      { pageSize: 4, pageToken },
    );
    all.push(...page.connections.map(({ user = "" }) => user));
    assert.deepEqual(page.unreachable, []);
    if (pages === 1) await c.open("late"); // It comes meanwhile, behind the others.
    ({ nextPageToken: pageToken } = page);
    assert.ok(pages < 6);
  }
  assert.deepEqual(
    all,
    ["a", "b", "c"].flatMap((name) => [0, 1, 2, 3, 4].map((i) => `${name}${i}`)).concat("late"),
  );
  const { connections } = await a.hub.connections({ users: ["c1"] });
  assert.deepEqual(connections, (await c.hub.connections({ users: ["c1"] })).connections, "dates and all");
  assert.ok(connections[0]?.connectedAt instanceof Date);
  assert.deepEqual(await a.hub.connection(connections[0]?.id ?? ""), connections[0]);
  assert.equal(await a.hub.connection(`${c.hub.node}-999`), undefined);
  assert.deepEqual(usersOf((await a.hub.connections({ nodes: [b.hub.node] })).connections).length, 5);
  assert.equal((await a.hub.connections({}, { local: true })).connections.length, 5);
});

test("rule 3: counts and statistics are sums of all nodes, and a room has the members of all", async () => {
  const { a, b, c } = await three();
  await a.open("ada");
  await b.open("ada");
  const members = [await b.join("bob", "x"), await c.join("cleo", "x"), await c.join("dora", "y")];
  const { total, groups } = await c.hub.count({}, "user");
  assert.deepEqual([total, groups], [5, { ada: 2, bob: 1, cleo: 1, dora: 1 }]);
  assert.deepEqual((await a.hub.count({ rooms: ["chat/x"] }, "node")).groups, {
    [b.hub.node]: 1,
    [c.hub.node]: 1,
  });
  assert.equal((await failure(a.hub.count({ rooms: ["chart/x"] }))).code, Code.InvalidArgument);
  const { rooms } = await a.hub.rooms();
  assert.deepEqual(
    rooms.map(({ room, members: count }) => `${room} ${count}`),
    ["chat/x 2", "chat/y 1"],
  );
  const page = await a.hub.rooms({ pageSize: 1 });
  const last = await b.hub.rooms({ pageSize: 1, pageToken: page.nextPageToken ?? "" });
  assert.deepEqual([last.rooms.map(({ room }) => room), last.nextPageToken], [["chat/y"], undefined]);
  const sum = await a.hub.statistics({ cluster: true });
  assert.deepEqual([sum.activeConnections, sum.members, sum.rooms, sum.unreachable], [5, 3, 3, []]);
  assert.equal((await a.hub.statistics()).activeConnections, 1);
  for (const member of members) member.leave();
  assert.deepEqual(
    a.hub.nodes().map(({ id, isLocal }) => [id, isLocal]),
    [a, b, c].map(({ hub }) => [hub.node, hub === a.hub]),
  );
});

test("rule 3: a node that is silent is named within the time, and what the others say is not lost; rule 47: then it is gone", async () => {
  const { a, b, c, clock } = await three();
  for (const node of [a, b, c]) await node.open("ada");
  c.mute();
  const asked = Promise.all([
    a.hub.connections(),
    a.hub.count(),
    a.hub.statistics({ cluster: true }),
    a.hub.recheck({ everybody: true }),
    a.hub.rooms(),
    a.topic.broadcast({ text: "all" }, { count: "cluster" }),
  ]);
  await clock.pass(1_000);
  const [page, counts, statistics, outcome, rooms, receipt] = await asked;
  for (const { unreachable } of [page, counts, statistics, outcome, rooms, receipt]) {
    assert.deepEqual(unreachable, [c.hub.node]);
  }
  assert.deepEqual([page.connections.length, counts.total, statistics.activeConnections], [2, 2, 2]);
  await clock.pass(8_000);
  const after = await a.hub.count();
  assert.deepEqual([after.total, after.unreachable], [2, []]);
});

test("rule 4: connections of all nodes are closed, and a selector without a field is an error everywhere", async () => {
  const { a, b, c } = await three();
  const calls = [
    await a.open("mallory"),
    await b.open("mallory"),
    await c.open("mallory"),
    await c.open("ada"),
  ];
  const outcome = await a.hub.close(
    { users: ["mallory"] },
    { reason: "banned", reconnect: false, refuseMs: 60_000 },
  );
  assert.deepEqual(outcome, { selected: 3, done: 3, failed: 0, unreachable: [] });
  const codes = calls.map((call) => ("reason" in call ? call.reason?.code : undefined));
  assert.deepEqual(codes, [7, 7, 7, undefined]);
  for (const node of [a, b, c])
    assert.equal(((await node.open("mallory")) as ConnectError).code, Code.PermissionDenied);
  for (const change of [
    a.hub.close({}),
    a.hub.recheck({}),
    a.hub.join({}, "chat/x"),
    a.hub.leave({ users: undefined } as object, "chat/x"),
  ]) {
    assert.match((await failure(change)).rawMessage, /a selector needs a field/);
  }
  assert.match((await failure(a.hub.close({ everybody: true }, { refuseMs: 1 }))).rawMessage, /^refuseMs: /);
  const none = await b.hub.close({ users: ["unknown"] });
  assert.deepEqual(none, { selected: 0, done: 0, failed: 0, unreachable: [] });
  assert.equal((await b.hub.close({ users: [] })).selected, 0, "an empty list selects nothing");
});

test("rule 4: a node that starts later refuses too, closes what has slipped through, and for no longer", async () => {
  const { a, store, clock } = await three();
  await a.hub.close({ users: ["mallory"] }, { reconnect: false, refuseMs: 20_000 });
  await clock.pass(5_000);
  const late = startNode(store, clock);
  const slipped = await late.open("mallory");
  await settle();
  await settle();
  assert.equal("reason" in slipped && slipped.reason?.code, Code.PermissionDenied);
  assert.equal(((await late.open("mallory")) as ConnectError).code, Code.PermissionDenied);
  await clock.pass(14_900);
  assert.equal(((await late.open("mallory")) as ConnectError).code, Code.PermissionDenied);
  await clock.pass(101);
  assert.ok(!((await late.open("mallory")) instanceof ConnectError));
});

test("rules 21, 22: messages reach the selected calls of all nodes once, and receipts count them where that is wanted", async () => {
  const { a, b, c } = await three();
  const here = await a.join("ada", "x");
  const there = await b.join("ada", "x");
  const other = await c.join("bob", "x");
  await b.topic.publish("x", { text: "first" });
  const local = await a.topic.send({ users: ["ada"] }, { text: "local" });
  const all = await a.topic.send(
    { users: ["ada"] },
    { text: "all" },
    { count: "cluster", headers: { lang: "de" } },
  );
  assert.deepEqual([local.members, all.members, all.unreachable], [1, 2, []]);
  const published = await a.topic.publish("x", { text: "last" }, { count: "cluster", id: "one" });
  assert.deepEqual([published.members, published.unreachable], [3, []]);
  const again = await a.topic.publish("x", { text: "last" }, { count: "cluster", id: "one" });
  assert.deepEqual([again.duplicate, again.members], [true, 0]);
  const elsewhere = await b.topic.publish("empty", { text: "x" }, { count: "cluster" });
  assert.deepEqual([elsewhere.members, elsewhere.unreachable], [0, []]);
  for (const member of [here, there]) {
    const got = [await member.next(), await member.next(), await member.next(), await member.next()];
    assert.deepEqual(got.map(({ text }) => text).sort(), ["all", "first", "last", "local"]);
    member.leave();
  }
  assert.deepEqual([(await other.next()).text, (await other.next()).text], ["first", "last"]);
  other.leave();
});

test("join, leave and recheck reach the calls of all nodes", async () => {
  const { a, b, c } = await three();
  const members = [await b.join("ada", "x"), await c.join("ada", "x"), await c.join("bob", "x")];
  await a.open("ada");
  const joined = await a.hub.join({ users: ["ada"] }, "chat/y");
  assert.deepEqual(joined, { selected: 3, done: 2, failed: 1, unreachable: [] });
  assert.equal((await a.hub.count({ rooms: ["chat/y"] })).total, 2);
  const left = await a.hub.leave({ rooms: ["chat/y"] }, "chat/y");
  assert.deepEqual([left.selected, left.done], [2, 2]);
  assert.equal((await a.hub.recheck({ everybody: true })).selected, 4);
  assert.match(
    (await failure(a.hub.join({ users: ["ada"] }, "chart/y"))).rawMessage,
    /there is no topic "chart"/,
  );
  for (const member of members) member.leave();
});
