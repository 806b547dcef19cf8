import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { EchoRequestSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { PersonInfoSchema, WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../src/core/errors/retry-info.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { TopicInit } from "../../src/hub/topic-options.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember } from "./made-member.ts";
import { presenceText } from "./presence-text.ts";

function start(init: TopicInit = {}) {
  const clock = new VirtualClock();
  const hub = new Hub({ maxPerUser: 0, joinsPerSecond: 0 }, { clock, wallMs: () => clock.nowMs() });
  const topic = hub.topic("people", WatchPeopleResponseSchema, { presence: {}, ...init });
  /** A member, with what it has got: kinds of events with their members. */
  const join = async (user?: string, room = "a") => {
    const principal = user === undefined ? {} : { principal: { id: user } };
    const member = await madeMember(hub, topic, room, principal);
    const got: string[] = [];
    const reading = (async () => {
      for (;;) got.push(presenceText(await member.next()));
    })();
    reading.catch(() => {}); // It has left.
    await clock.pass(0);
    return { ...member, take: () => got.splice(0) };
  };
  return { clock, hub, topic, join };
}

test("rules 36, 37: the list first, then who comes, leaves and changes, its own coming among them", async () => {
  const { clock, topic, join } = start();
  const ada = await join("ada");
  assert.deepEqual(ada.take(), ["SYNC  0/0"]);
  await clock.pass(499);
  assert.deepEqual(ada.take(), []);
  await clock.pass(1);
  assert.deepEqual(ada.take(), ["JOIN ada×1 1/1"]);
  const bob = await join("bob");
  const second = await join("ada");
  await clock.pass(500);
  assert.deepEqual(ada.take(), ["JOIN bob×1 2/3", "UPDATE ada×2 2/3"]);
  assert.deepEqual(bob.take(), ["SYNC ada×1 1/1", "JOIN bob×1 2/3", "UPDATE ada×2 2/3"]);
  second.leave();
  await clock.pass(5_000);
  assert.deepEqual(ada.take(), []);
  await clock.pass(500);
  assert.deepEqual(ada.take(), ["UPDATE ada×1 2/2"]);
  bob.leave();
  await clock.pass(5_500);
  assert.deepEqual(ada.take(), ["LEAVE bob×1 1/1"]);
  const { members, users, connections } = await topic.presence("a");
  assert.deepEqual([members.map(({ user }) => user), users, connections], [["ada"], 1, 1]);
});

test("rule 35: a connection without a user counts for itself", async () => {
  const { clock, topic, join } = start();
  const one = await join();
  await join();
  await clock.pass(500);
  assert.deepEqual(one.take(), ["SYNC  0/0", "JOIN ?×1,?×1 2/2"]);
  const { members } = await topic.presence("a");
  const [{ connection } = { connection: undefined }] = members;
  assert.ok(connection);
  await topic.setInfo(connection, "a", create(PersonInfoSchema, { mood: "glad" }));
  await clock.pass(500);
  assert.deepEqual(one.take(), ["UPDATE ?×1=glad 2/2"]);
});

test("R12: a page that is reloaded within the delay changes nothing, whichever of several it is", async () => {
  const { clock, join } = start();
  const eve = await join("eve");
  const ada = await join("ada");
  const tab = await join("bob");
  const other = await join("bob");
  await clock.pass(500);
  eve.take();
  ada.leave();
  tab.leave();
  await clock.pass(3_000);
  await join("ada");
  const back = await join("bob");
  await clock.pass(10_000);
  assert.deepEqual(eve.take(), []);
  // A browser may open the new page before the server hears of the end of the old one.
  const early = await join("bob");
  back.leave();
  await clock.pass(10_000);
  assert.deepEqual(eve.take(), []);
  early.leave();
  other.leave();
  await clock.pass(5_500);
  assert.deepEqual(eve.take(), ["LEAVE bob×2 2/2"]);
});

test("rule 37: who is closed by the hub leaves at once, and a new begin in the same batch says nothing", async () => {
  const { clock, hub, join } = start();
  const eve = await join("eve");
  const ada = await join("ada");
  await clock.pass(500);
  eve.take();
  await hub.close({ users: ["ada"] }, { reconnect: false });
  ada.leave();
  await clock.pass(500);
  assert.deepEqual(eve.take(), ["LEAVE ada×1 1/1"]);
  const again = await join("ada");
  await clock.pass(500);
  eve.take();
  await hub.close({ users: ["ada"] });
  again.leave();
  await clock.pass(100);
  await join("ada");
  await clock.pass(9_000);
  assert.deepEqual(eve.take(), []);
});

test("rule 39: beyond max_members there are counts alone, once a batch, and below a new list", async () => {
  const { clock, topic, join } = start({ presence: { maxMembers: 3, leaveDelayMs: 0 } });
  const eve = await join("eve");
  const users = ["a", "b"];
  for (const user of users) await join(user);
  await clock.pass(500);
  eve.take();
  const more = [await join("c"), await join("d")];
  await clock.pass(500);
  assert.deepEqual(eve.take(), ["UPDATE  5/5"]);
  assert.deepEqual(await topic.presence("a"), { members: [], users: 5, connections: 5 });
  const late = await join("e");
  assert.deepEqual(late.take(), ["SYNC  5/5"], "a list without members");
  await clock.pass(500);
  assert.deepEqual([eve.take(), late.take()], [["UPDATE  6/6"], ["UPDATE  6/6"]]);
  late.leave();
  for (const member of more) member.leave();
  await clock.pass(500);
  assert.deepEqual(eve.take(), ["SYNC eve×1,a×1,b×1 3/3"]);
});

test("rule 36: a list comes in pages, and what changes meanwhile behind them, however long they take", async () => {
  const { clock, hub, topic, join } = start({ presence: { maxMembers: 2_000, leaveDelayMs: 0 } });
  const members = [];
  for (let i = 0; i < 1_100; i++)
    members.push(await madeMember(hub, topic, "a", { principal: { id: `u${i}` } }));
  await clock.pass(500);
  const slow = await madeMember(hub, topic, "a", { principal: { id: "slow" } });
  const first = presenceText(await slow.next());
  assert.match(first, /^SYNC u0×1,.*,u499×1 1100\/1100 …$/);
  members[0]?.leave();
  await join("late");
  await clock.pass(500);
  assert.match(presenceText(await slow.next()), /^SYNC u500×1,.*,u999×1 1100\/1100 …$/);
  assert.match(presenceText(await slow.next()), /^SYNC u1000×1,.*,u1099×1 1100\/1100$/);
  assert.equal(presenceText(await slow.next()), "LEAVE u0×1 1101/1101");
  assert.equal(presenceText(await slow.next()), "JOIN slow×1,late×1 1101/1101");
});

test("rules 36, 39: a batch that takes several turns is told as one, and what changes amid it in the next", async () => {
  const { clock, hub, topic, join } = start({ presence: { maxMembers: 1_500, leaveDelayMs: 0 } });
  const eve = await join("eve");
  const members = [];
  for (let i = 0; i < 3_200; i++)
    members.push(await madeMember(hub, topic, "a", { principal: { id: `u${i}` } }));
  const batch = async () => {
    for (let turn = 0; turn < 5; turn++) await clock.pass(0);
    return eve.take();
  };
  clock.advance(500);
  members[0]?.leave(); // Its part was looked at.
  members[3_199]?.leave(); // Its part is still to come.
  assert.deepEqual((await batch()).slice(1), ["UPDATE  3200/3200"]);
  clock.advance(500);
  assert.deepEqual(await batch(), ["UPDATE  3199/3199"]);
  for (const member of members.slice(1, 3_000)) member.leave();
  clock.advance(500);
  assert.match((await batch()).join(" "), /^SYNC eve×1,u3000×1,.*u3198×1 200\/200$/);
});

test("a watcher that is far behind gets the list anew, and no part of the changes", async () => {
  const { clock, hub, topic } = start({ presence: { leaveDelayMs: 0 } });
  const slow = await madeMember(hub, topic, "a", { principal: { id: "slow" } });
  for (let i = 0; i < 100; i++) {
    await madeMember(hub, topic, "a", { principal: { id: `u${i}` } });
    await clock.pass(500);
  }
  assert.equal(presenceText(await slow.next()), "SYNC  0/0");
  assert.match(presenceText(await slow.next()), /^SYNC slow×1,u0×1,.*u99×1 101\/101$/);
});

test("rule 39: setInfo beyond updates_per_second is refused; a grant's info is told, and kept by who comes back", async () => {
  const mood = (text: string) => create(PersonInfoSchema, { mood: text });
  let granted: ReturnType<typeof mood> | undefined = mood("new");
  const { clock, hub, topic, join } = start({ authorize: () => ({ info: granted }) });
  const eve = await join("eve");
  await clock.pass(500);
  assert.deepEqual(eve.take(), ["SYNC  0/0", "JOIN eve×1=new 1/1"]);
  const [{ id } = { id: "" }] = (await hub.connections()).connections;
  await topic.setInfo(id, "a", mood("glad"));
  const soon = await topic
    .setInfo(id, "a", mood("sad"))
    .catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(soon instanceof ConnectError && soon.code === Code.ResourceExhausted);
  assert.equal(retryAfterMsOf(soon), 1_000);
  await clock.pass(500);
  assert.deepEqual(eve.take(), ["UPDATE eve×1=glad 1/1"]);
  await clock.pass(500);
  await topic.setInfo(id, "a", mood("sad"));
  granted = undefined;
  eve.leave();
  await clock.pass(1_000);
  const back = await join("eve");
  await clock.pass(500);
  assert.deepEqual(back.take(), ["SYNC eve×1=sad 1/1"], "and it has not left");
  granted = mood("other");
  assert.deepEqual(await hub.recheck({ users: ["eve"] }), {
    selected: 1,
    done: 1,
    failed: 0,
    unreachable: [],
  });
  await clock.pass(500);
  assert.deepEqual(back.take(), ["UPDATE eve×1=other 1/1"]);
});

test("what cannot be said of a member is named", async () => {
  const { hub, topic, join } = start();
  const plain = hub.topic("plain", WatchPeopleResponseSchema);
  await join("ada");
  const [{ id } = { id: "" }] = (await hub.connections()).connections;
  const refused = (work: Promise<unknown>) =>
    work.then(
      () => assert.fail(),
      (reason: unknown) => {
        const { code, rawMessage } = ConnectError.from(reason);
        return `${Code[code]}: ${rawMessage}`;
      },
    );
  const info = create(PersonInfoSchema);
  assert.match(await refused(plain.presence("a")), /^FailedPrecondition: the topic plain has no presence/);
  assert.match(await refused(plain.setInfo(id, "a", info)), /^FailedPrecondition/);
  assert.match(await refused(topic.presence("\n")), /^InvalidArgument: room/);
  assert.match(
    await refused(topic.setInfo(id, "b", info)),
    /^NotFound: the connection ".*" is not in the room/,
  );
  assert.match(await refused(topic.setInfo("x-1", "a", info)), /^NotFound/);
  const other = create(EchoRequestSchema);
  assert.match(
    await refused(topic.setInfo(id, "a", other)),
    /^InvalidArgument: info: tsms\.test\.v1\.EchoRequest is no type that tsms\/test\/v1\/live\.proto imports/,
  );
  const large = create(PersonInfoSchema, { mood: "x".repeat(5_000) });
  assert.match(
    await refused(topic.setInfo(id, "a", large)),
    /^ResourceExhausted: info: 5003 bytes; at most 4096/,
  );
  const granting = hub.topic("granting", WatchPeopleResponseSchema, { authorize: () => ({ info }) });
  const member = await madeMember(hub, granting, "a");
  assert.match(await refused(member.next()), /^Internal/);
  for (const [presence, field] of [
    [{ batchMs: -1 }, "batchMs"],
    [{ maxMembers: 0 }, "maxMembers"],
    [{ updatesPerSecond: 0 }, "updatesPerSecond"],
    [{ leaveDelayMs: Number.NaN }, "leaveDelayMs"],
  ] as const) {
    assert.throws(
      () => hub.topic("wrong", WatchPeopleResponseSchema, { presence }),
      new RegExp(`wrong: the topic's presence\\.${field} must be`),
    );
  }
});

test("nothing of a room is left behind its last member, its delay and its batch", async () => {
  const { clock, hub, topic, join } = start();
  const page = new Metrics();
  hub.watch(page);
  for (let i = 0; i < 20; i++) (await join(`u${i % 7}`, `r${i % 3}`)).leave();
  assert.ok(clock.nextMs !== undefined);
  await clock.pass(500);
  assert.match(await page.page(), /ts_ms_hub_present\{topic="people"\} 20/);
  await clock.pass(60_000);
  assert.equal(clock.nextMs, undefined, "no timer");
  assert.deepEqual(await topic.presence("r1"), { members: [], users: 0, connections: 0 });
  assert.match(await page.page(), /ts_ms_hub_present\{topic="people"\} 0/);
});
