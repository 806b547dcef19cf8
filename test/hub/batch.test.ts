import assert from "node:assert/strict";
import { test } from "node:test";
import { FollowRoomsResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { TopicInit } from "../../src/hub/topic-options.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember } from "./made-member.ts";

/** A topic whose publications are gathered, and what a member of its room `a` has got. */
async function start(init: TopicInit) {
  const clock = new VirtualClock();
  const hub = new Hub({}, { clock });
  const topic = hub.topic("t", FollowRoomsResponseSchema, init);
  const member = await madeMember(hub, topic, "a");
  const got: string[] = [];
  const reading = (async () => {
    for (;;) got.push((await member.next()).text);
  })();
  reading.catch(() => {}); // The member has left.
  return { clock, hub, topic, got, member };
}

test("rule 34: publications of a time reach members together, in their order", async () => {
  const { clock, topic, got } = await start({ batch: { delayMs: 20 } });
  for (const text of ["1", "2"]) {
    const { members, lagging } = await topic.publish("a", { text });
    assert.deepEqual([members, lagging], [1, 1], "they read it later");
    await clock.pass(9);
  }
  assert.deepEqual(got, []);
  await clock.pass(2);
  assert.deepEqual(got, ["1", "2"], "20 ms behind the first one");
  await topic.publish("a", { text: "3" });
  await clock.pass(19);
  assert.deepEqual(got, ["1", "2"]);
  await clock.pass(1);
  assert.deepEqual(got, ["1", "2", "3"]);
  assert.equal(clock.nextMs, undefined, "no timer without publications");
});

test("rule 34: as many as max wait no longer, nor those that fill half of the ring", async () => {
  const most = await start({ batch: { delayMs: 60_000, max: 3 } });
  for (const text of ["1", "2"]) await most.topic.publish("a", { text });
  await most.clock.pass(1);
  assert.deepEqual(most.got, []);
  await most.topic.publish("a", { text: "3" });
  await most.clock.pass(1);
  assert.deepEqual(most.got, ["1", "2", "3"]);
  const large = await start({ batch: { delayMs: 60_000 }, ring: { bytes: 2_000 } });
  for (let i = 0; i < 2; i++) await large.topic.publish("a", { text: "x".repeat(600) });
  await large.clock.pass(1);
  assert.equal(large.got.length, 2);
});

test("rule 34: what is gathered is no lag, and what passes others waits for nothing", async () => {
  const { clock, hub, topic, got } = await start({ batch: { delayMs: 20 } });
  await topic.publish("a", { text: "1" });
  const low = await topic.publish("a", { text: "low" }, { priority: "low" });
  assert.deepEqual([low.lagging, low.dropped], [1, 0], "it waits as all others do");
  await topic.publish("a", { text: "high" }, { priority: "high" });
  await topic.publish("a", { text: "other low" }, { priority: "low" });
  const [connection] = (await hub.connections()).connections;
  assert.equal(connection?.lagMs, 0);
  await clock.pass(20);
  assert.equal(got[0], "high");
  assert.deepEqual(got.slice(1), ["1", "low", "other low"]);
});

test("rule 34: a member that comes amid a batch begins behind what was published, with history too", async () => {
  const { clock, hub, topic, got } = await start({ batch: { delayMs: 20 }, history: {} });
  const { position = "" } = await topic.publish("a", { text: "1" });
  const fresh = await madeMember(hub, topic, "a");
  assert.equal(fresh.header("ts-ms-position"), position);
  await topic.publish("a", { text: "2" });
  await clock.pass(20);
  assert.deepEqual(got, ["1", "2"]);
  assert.equal((await fresh.next()).text, "2");
});

test("a batch of no publication is an error that names the field", () => {
  const hub = new Hub();
  assert.throws(
    () => hub.topic("t", FollowRoomsResponseSchema, { batch: { delayMs: 1, max: 0 } }),
    /the topic's batch\.max must be at least 1, not 0/,
  );
});

test("rules 21, 34: of one turn a member that asks for each message has the first, and reads the others", async () => {
  const { clock, hub, topic, got } = await start({ overflow: "DROP_OLDEST" });
  const other = await madeMember(hub, topic, "a", {}, { filter: { header: "lang", is: "de" } });
  await clock.pass(0);
  const receipts = await Promise.all(
    ["1", "2", "3"].map((text, i) =>
      topic.publish("a", { text }, { headers: { lang: i === 1 ? "de" : "fr" } }),
    ),
  );
  assert.deepEqual(
    receipts.map(({ members, sent, lagging, filtered }) => [members, sent, lagging, filtered]),
    [
      [2, 1, 0, 1],
      [2, 1, 1, 0],
      [2, 0, 1, 1],
    ],
  );
  await clock.pass(0);
  assert.deepEqual(got, ["1", "2", "3"]);
  assert.equal((await other.next()).text, "2");
});

test("rule 31: what one turn publishes is not conflated for a member that has read all", async () => {
  const { clock, topic, got } = await start({ overflow: "CONFLATE" });
  await Promise.all(["1", "2"].map((text) => topic.publish("a", { text }, { key: "k" })));
  await clock.pass(0);
  assert.deepEqual(got.slice(0, 1), ["1"]);
});
