import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { FollowRoomsResponseSchema, FollowStateResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Bus } from "../../src/hub/bus/bus.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { TopicInit } from "../../src/hub/topic-options.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember, settle } from "./made-member.ts";

const history = { size: 20, ttlMs: 60_000 };

/** A node, and how often its bus was read. */
function startNode(init: TopicInit, store = new MemoryStore(), clock = new VirtualClock()) {
  const bus = memoryBus(store);
  const read = bus.read.bind(bus);
  let reads = 0;
  const counted: Bus = Object.assign(bus, {
    read(...args: Parameters<Bus["read"]>) {
      reads++;
      return read(...args);
    },
  });
  const hub = new Hub({ bus: counted, joinsPerSecond: 0, maxPerUser: 0 }, { clock });
  return {
    hub,
    clock,
    reads: () => reads,
    plain: hub.topic("plain", FollowRoomsResponseSchema, init),
    told: hub.topic("told", FollowStateResponseSchema, init),
  };
}

type Node = ReturnType<typeof startNode>;

async function publish(topic: Node["plain"], count: number, from = 1, room = "a"): Promise<string[]> {
  const positions: string[] = [];
  for (let i = 0; i < count; i++) {
    const { position = "" } = await topic.publish(room, { text: `${from + i}`, key: `${(from + i) % 3}` });
    positions.push(position);
  }
  return positions;
}

/** What a reset says of a topic without a message for it. */
function reasonOf(header: string | null): string | undefined {
  const [reset] = JSON.parse(header ?? "[]") as { reason?: string }[];
  return reset?.reason?.replace("RESET_REASON_", "");
}

test("rule 12: a position that cannot be continued is a reset with its reason, and then what a fresh member gets", async () => {
  const { hub, plain, clock } = startNode({ history, initial: 2, replayMax: 10 });
  const sent = await publish(plain, 30);
  const [epoch = ""] = (sent[0] ?? "").split(".");
  const cases: readonly (readonly [string, string | undefined])[] = [
    [`${epoch}.29`, undefined],
    [`${epoch}.30`, undefined],
    [`${epoch}.20`, undefined],
    [`${epoch}.19`, "REPLAY_LIMIT"],
    [`${epoch}.9`, "EXPIRED"],
    [`${epoch}.31`, "UNKNOWN"],
    ["zzzzzzzz.29", "UNKNOWN"],
    [`${epoch}.-1`, "UNKNOWN"],
    [`${epoch}.18446744073709551616`, "UNKNOWN"],
    ["../", "UNKNOWN"],
    ["x".repeat(10_000), "UNKNOWN"],
  ];
  for (const [after, reason] of cases) {
    const member = await madeMember(hub, plain, "a", { after });
    const resume = member.header("ts-ms-resume");
    assert.equal(resume, reason === undefined ? "recovered" : "reset", after.slice(0, 40));
    assert.equal(reasonOf(member.header("ts-ms-reset")), reason);
    if (reason !== undefined) {
      assert.equal(member.header("ts-ms-position"), `${epoch}.28`, "from where the first ones come");
      assert.deepEqual([(await member.next()).text, (await member.next()).text], ["29", "30"]);
    }
    member.leave();
  }
  const fresh = await madeMember(hub, plain, "a", { after: "" });
  assert.equal(fresh.header("ts-ms-resume"), "fresh");
  clock.advance(60_001);
  const all = await madeMember(hub, plain, "a", { after: `${epoch}.30` });
  assert.equal(all.header("ts-ms-resume"), "recovered", "nothing is missing behind the last one");
});

test("rule 13: a position may be used again and again", async () => {
  const { hub, plain } = startNode({ history });
  const [first = ""] = await publish(plain, 3);
  for (let i = 0; i < 3; i++) {
    const member = await madeMember(hub, plain, "a", { after: first });
    assert.deepEqual([(await member.next()).text, (await member.next()).text], ["2", "3"]);
  }
});

test("R13: clients that come back at once cost one reading of a room, not one each", async () => {
  const store = new MemoryStore();
  const before = startNode({ history }, store);
  const rooms = Array.from({ length: 10 }, (_, i) => `r${i}`);
  const positions = await Promise.all(
    rooms.map(async (room) => (await publish(before.plain, 20, 1, room))[9] ?? ""),
  );
  const { hub, plain, reads } = startNode({ history }, store);
  const members = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      madeMember(hub, plain, rooms[i % 10] ?? "", { after: positions[i % 10] ?? "" }),
    ),
  );
  for (const member of members) {
    const texts: string[] = [];
    for (let i = 0; i < 10; i++) texts.push((await member.next()).text);
    assert.deepEqual(texts, ["11", "12", "13", "14", "15", "16", "17", "18", "19", "20"]);
  }
  assert.ok(reads() <= 20, `${reads()} readings of 10 rooms`);
});

test("rule 16: the state of a room comes first, and every change after it, without a gap", async () => {
  const opened = Promise.withResolvers<void>();
  let state = "";
  const { hub, plain } = startNode({
    history,
    async snapshot() {
      const before = state;
      await opened.promise;
      return [{ text: `state ${before}` }];
    },
  });
  const say = async (text: string): Promise<void> => {
    state += text;
    await plain.publish("a", { text });
  };
  await say("1");
  const joining = madeMember(hub, plain, "a");
  await settle();
  await say("2"); // While the state is read.
  opened.resolve();
  const member = await joining;
  await settle();
  await say("3");
  const got = [await member.next(), await member.next(), await member.next()];
  assert.deepEqual(
    got.map(({ text }) => text),
    ["state 1", "2", "3"],
  );
  assert.deepEqual(
    got.map(({ id }) => id === ""),
    [true, false, false],
  );
  const recovered = await madeMember(hub, plain, "a", { after: got[1]?.id });
  assert.equal((await recovered.next()).text, "3", "who is recovered needs no state");
});

test("initial gives the last ones, or the last one of each key", async () => {
  const { hub, plain } = startNode({ history, initial: 3 });
  await publish(plain, 5);
  const member = await madeMember(hub, plain, "a");
  assert.deepEqual(
    [(await member.next()).text, (await member.next()).text, (await member.next()).text],
    ["3", "4", "5"],
  );
  const node = startNode({ history, initial: "LATEST_BY_KEY" });
  await publish(node.plain, 7);
  const latest = await madeMember(node.hub, node.plain, "a");
  assert.deepEqual(
    [(await latest.next()).text, (await latest.next()).text, (await latest.next()).text],
    ["5", "6", "7"],
  );
});

test("rules 10, 11: a room that is cleared is a message where the type has one for it, else the end of the call", async () => {
  const { hub, plain, told } = startNode({ history });
  const silent = await madeMember(hub, plain, "a");
  const open = await madeMember(hub, told, "a");
  await plain.publish("a", { text: "1" });
  await told.publish("a", { event: { case: "text", value: "1" } });
  await plain.clear("a");
  await told.clear("a");
  const after = await told.publish("a", { event: { case: "text", value: "2" } });
  assert.equal((await silent.next()).text, "1", "what was before");
  const error = await silent.next().then(
    () => assert.fail(),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.Aborted);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual(
    [info?.reason, info?.metadata],
    ["RESET", { room: "a", reason: "CLEARED", position: await plain.position("a") }],
  );
  assert.deepEqual((await open.next()).event, { case: "text", value: "1" });
  const { event, id } = await open.next();
  assert.equal(event.case, "reset");
  assert.match(id, /\.0$/);
  assert.equal((await open.next()).id, after.position);
  assert.equal((await hub.statistics()).resets, 2);
});

test("rule 31: who falls behind the ring goes on with the oldest, behind one reset with the exact number", async () => {
  const { hub, told } = startNode({ ring: { size: 4 }, history: { size: 4 } });
  const member = await madeMember(hub, told, "a");
  for (let i = 1; i <= 10; i++) await told.publish("a", { event: { case: "text", value: `${i}` } });
  assert.deepEqual((await member.next()).event.value, "1");
  const reset = (await member.next()).event.value as { missed: bigint; reason: number };
  assert.deepEqual([reset.missed, reset.reason], [5n, 4]);
  const rest: unknown[] = [];
  for (let i = 0; i < 4; i++) rest.push((await member.next()).event.value);
  assert.deepEqual(rest, ["7", "8", "9", "10"]);
});

test("rule 31: what the ring has lost is read on from the history", async () => {
  const clock = new VirtualClock();
  const hub = new Hub({ maxRingBytes: 200 }, { clock });
  const topic = hub.topic("t", FollowRoomsResponseSchema, { history: { size: 100 } });
  const member = await madeMember(hub, topic, "a");
  for (let i = 1; i <= 50; i++) await topic.publish("a", { text: `${i}` });
  const texts: string[] = [];
  for (let i = 0; i < 50; i++) texts.push((await member.next()).text);
  assert.deepEqual(
    texts,
    Array.from({ length: 50 }, (_, i) => `${i + 1}`),
  );
  assert.equal((await hub.statistics()).resets, 0);
});

test("rule 30: DISCONNECT ends the call, and its position allows resuming", async () => {
  const { hub, plain } = startNode({
    history: { size: 8 },
    ring: { size: 8, bytes: 8 },
    overflow: "DISCONNECT",
  });
  const member = await madeMember(hub, plain, "a");
  await publish(plain, 300);
  assert.equal((await member.next()).text, "1");
  const error = await member.next().then(
    () => assert.fail(),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.ResourceExhausted);
  assert.match(error.findDetails(ErrorInfoSchema)[0]?.metadata["position"] ?? "", /\.1$/);
});

test("rule 14: members for whom nothing was due move, and rule 15: what was not for them is not replayed", async () => {
  const { hub, plain } = startNode({ history });
  const options = { filter: { header: "lang", is: "de" } };
  const member = await madeMember(hub, plain, "a", {}, options);
  const begin = member.position();
  await plain.publish("a", { text: "en" }, { headers: { lang: "en" } });
  const { position } = await plain.publish(
    "a",
    { text: "bob" },
    { headers: { lang: "de" }, to: { users: ["bob"] } },
  );
  assert.equal(member.context.streamPlace?.settledText(), position);
  const again = await madeMember(hub, plain, "a", { after: begin }, options);
  assert.equal(again.header("ts-ms-resume"), "recovered");
  await plain.publish("a", { text: "3" }, { headers: { lang: "de" } });
  assert.equal((await again.next()).text, "3");
});

test("position, mark and history say what there is", async () => {
  const { hub, plain } = startNode({ history });
  const sent = await publish(plain, 5);
  assert.equal(await plain.position("a"), sent[4]);
  const page = await plain.history("a", { after: sent[1] ?? "", limit: 2 });
  assert.deepEqual(
    [
      page.messages.map(({ message: { text }, position }) => [text, position]),
      page.position,
      page.top,
      page.complete,
    ],
    [
      [
        ["3", sent[2]],
        ["4", sent[3]],
      ],
      sent[3],
      sent[4],
      true,
    ],
  );
  const member = await madeMember(hub, plain, "b");
  await plain.mark(member.context, "a");
  assert.equal(member.header("ts-ms-position"), sent[4]);
  const none = hub.topic("none", FollowRoomsResponseSchema);
  await assert.rejects(none.position("a"), /the topic none has no history/);
  await assert.rejects(plain.history("a", { after: "x" }), /after: it is no position/);
});

test("a room that is cleared while its first member joins is in its new epoch", async () => {
  const bus = memoryBus(new MemoryStore());
  const tops = bus.tops.bind(bus);
  const late: Bus = Object.assign(bus, {
    async tops(...args: Parameters<Bus["tops"]>) {
      const before = await tops(...args);
      await bus.clear("plain/a");
      return before;
    },
  });
  const hub = new Hub({ bus: late });
  const plain = hub.topic("plain", FollowRoomsResponseSchema, { history });
  const member = await madeMember(hub, plain, "a");
  const { top } = await plain.history("a");
  assert.equal(member.header("ts-ms-position"), top);
  await publish(plain, 1);
  assert.equal((await member.next()).text, "1");
  const back = await madeMember(hub, plain, "a", { after: top });
  assert.equal(back.header("ts-ms-resume"), "recovered");
  assert.equal((await back.next()).text, "1");
});

test("a room is kept for a while behind its last member, and nothing is left then", async () => {
  const { hub, plain, clock } = startNode({ history });
  const member = await madeMember(hub, plain, "a");
  await publish(plain, 3);
  member.leave();
  assert.equal((await hub.statistics()).rooms, 0);
  assert.equal((await plain.publish("a", { text: "x" })).members, 0);
  const back = await madeMember(hub, plain, "a", { after: member.position() });
  back.leave();
  await clock.pass(30_000);
  assert.equal((await hub.statistics()).ringBytes, 0);
});

test("rule 31: CONFLATE reads only the last of each key while behind, and loses none of those", async () => {
  const { hub, plain } = startNode({ overflow: "CONFLATE", ring: { size: 6 } });
  const member = await madeMember(hub, plain, "a");
  await publish(plain, 41);
  assert.equal((await member.next()).text, "1", "it was not behind");
  assert.deepEqual(
    [(await member.next()).text, (await member.next()).text, (await member.next()).text],
    ["39", "40", "41"],
  );
  assert.equal((await hub.statistics()).resets, 0);
  for (let i = 0; i < 10; i++) await plain.publish("a", { text: "without" });
  const error = await member.next().then(
    () =>
      member.next().then(
        () => assert.fail(),
        (reason: unknown) => ConnectError.from(reason),
      ),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.Aborted, "what has no key is lost, and said so");
});
