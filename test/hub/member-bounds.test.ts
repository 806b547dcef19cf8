/** What bounds one member, and what its publishers and its topic do that must not reach it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WatchRoomResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { HubOptions } from "../../src/hub/hub-options.ts";
import type { TopicInit } from "../../src/hub/topic-options.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember, settle } from "./made-member.ts";

function startHub(options: Partial<HubOptions> = {}, init: TopicInit = {}) {
  const hub = new Hub({ maxPerUser: 0, ...options }, { clock: new VirtualClock() });
  return { hub, topic: hub.topic("t", WatchRoomResponseSchema, init) };
}

const codeOf = (code: Code, text: RegExp) => (error: unknown) =>
  ConnectError.from(error).code === code && text.test(ConnectError.from(error).rawMessage);

test("rules 22, 23: at most maxDirectBytes wait for a call, and they pass what waits in its room", async () => {
  const { hub, topic } = startHub({ maxDirectBytes: 200 });
  const member = await madeMember(hub, topic, "a");
  await topic.publish("a", { text: "first" }); // It asks for no further one.
  await settle();
  await topic.publish("a", { text: "second" });
  const send = (text: string) => topic.send({ everybody: true }, { text });
  const outcomes = [await send("x".repeat(60)), await send("y".repeat(150)), await send("z".repeat(20))];
  assert.deepEqual(
    outcomes.map(({ sent, failed }) => [sent, failed]),
    [
      [1, 0],
      [0, 1],
      [1, 0],
    ],
  );
  const texts: string[] = [];
  for (let i = 0; i < 4; i++) texts.push((await member.next()).text);
  assert.deepEqual(texts, ["first", "x".repeat(60), "z".repeat(20), "second"]);
  const { connections } = await hub.connections();
  assert.equal(connections[0]?.dropped, 1);
});

test("rule 5: the calls of a connection are in at most maxRoomsPerConnection rooms, and others live", async () => {
  const { hub, topic } = startHub({ maxRoomsPerConnection: 2 });
  const other = await madeMember(hub, topic, ["a", "b"]);
  const refused = await madeMember(hub, topic, ["a", "b", "c"]);
  const isLimit = codeOf(Code.ResourceExhausted, /at most 2 rooms/);
  await assert.rejects(refused.next(), isLimit);
  await topic.publish("b", { text: "lives" });
  assert.equal((await other.next()).text, "lives");
});

test("rule 20: what a publisher changes behind publish is not sent", async () => {
  const { hub, topic } = startHub();
  const member = await madeMember(hub, topic, "a");
  const flat = { text: "as it was" };
  const nested = { text: "list", numbers: [1, 2] };
  const publishing = [topic.publish("a", flat), topic.publish("a", nested)];
  flat.text = "changed";
  nested.numbers.push(3);
  await Promise.all(publishing);
  assert.equal((await member.next()).text, "as it was");
  assert.deepEqual((await member.next()).numbers, [1, 2]);
});

test("rule 26: what snapshot throws ends its call alone", async () => {
  let fails = false;
  const { hub, topic } = startHub(
    {},
    {
      snapshot() {
        if (fails) throw new ConnectError("no state", Code.Internal);
        return [{ text: "state" }];
      },
    },
  );
  const other = await madeMember(hub, topic, "a");
  assert.equal((await other.next()).text, "state");
  fails = true;
  const failed = await madeMember(hub, topic, "a");
  await assert.rejects(failed.next(), codeOf(Code.Internal, /no state/));
  assert.equal((await hub.statistics()).members, 1);
  await topic.publish("a", { text: "lives" });
  assert.equal((await other.next()).text, "lives");
});
