import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { FollowRoomsResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Bus } from "../../src/hub/bus/bus.ts";
import { memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember } from "./made-member.ts";

const history = {};
const schema = FollowRoomsResponseSchema;

function start(init: Parameters<Hub["topic"]>[2] = { history }, bus: Bus = memoryBus()) {
  const clock = new VirtualClock();
  const hub = new Hub({ bus }, { clock });
  return { clock, hub, topic: hub.topic("t", schema, init) };
}

async function failure(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => ConnectError.from(reason),
  );
}

test("an id that is known has its first position, and is delivered once", async () => {
  const { clock, hub, topic } = start({ history, dedupeMs: 1_000 });
  const member = await madeMember(hub, topic, "a");
  const first = await topic.publish("a", { text: "1" }, { id: "x" });
  const again = await topic.publish("a", { text: "2" }, { id: "x" });
  assert.deepEqual([again.duplicate, again.position, again.members], [true, first.position, 0]);
  assert.deepEqual((await topic.publish("b", { text: "3" }, { id: "x" })).duplicate, false, "in each room");
  clock.advance(1_001);
  assert.equal((await topic.publish("a", { text: "4" }, { id: "x" })).duplicate, false);
  assert.deepEqual([(await member.next()).text, (await member.next()).text], ["1", "4"]);
  member.leave();
});

test("R10: a bus that answers too late is PUBLISH_UNKNOWN, and the same id is delivered once", async () => {
  const inner = memoryBus();
  let isSlow = true;
  let aborted = false;
  const slow: Bus = {
    name: "slow",
    maxMessageBytes: 1_000_000,
    isShared: false,
    start: (node) => inner.start(node),
    close: () => inner.close(),
    subscribe: (rooms) => inner.subscribe(rooms),
    unsubscribe: (rooms) => inner.unsubscribe(rooms),
    read: (room, after, limit) => inner.read(room, after, limit),
    tops: (rooms) => inner.tops(rooms),
    cast: (node, frame) => inner.cast(node, frame),
    cursor: (key, set) => inner.cursor(key, set),
    clear: (room) => inner.clear(room),
    async publish(publication, signal) {
      const receipt = await inner.publish(publication, signal);
      signal.addEventListener("abort", () => (aborted = true));
      return isSlow ? new Promise(() => {}) : receipt;
    },
  };
  const { clock, hub, topic } = start({ history }, slow);
  const member = await madeMember(hub, topic, "a");
  const publishing = failure(topic.publish("a", { text: "once" }, { id: "order-42" }));
  await clock.pass(1_999);
  assert.equal(aborted, false);
  await clock.pass(1);
  const error = await publishing;
  assert.equal(error.code, Code.Unavailable);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([info?.reason, info?.metadata], ["PUBLISH_UNKNOWN", { id: "order-42" }]);
  assert.equal(aborted, true);
  isSlow = false;
  const again = await topic.publish("a", { text: "once" }, { id: "order-42" });
  assert.equal(again.duplicate, true);
  assert.equal((await member.next()).text, "once");
  assert.equal(member.position(), again.position, "and nothing behind it");
  assert.equal(clock.nextMs === undefined || clock.nextMs > 3_000, true, "no timer of a publication is left");
  const aborting = new AbortController();
  isSlow = true;
  const waiting = failure(topic.publish("a", { text: "x" }, { signal: aborting.signal }));
  aborting.abort();
  assert.equal((await waiting).code, Code.Canceled);
  member.leave();
});

test("what is too old is neither delivered nor replayed", async () => {
  const { clock, hub, topic } = start();
  const late = await madeMember(hub, topic, "a");
  await topic.publish("a", { text: "0" });
  await topic.publish("a", { text: "short" }, { ttlMs: 100 });
  await topic.publish("a", { text: "long" }, { ttlMs: 1_000 });
  const from = await topic.position("a");
  clock.advance(500);
  assert.deepEqual([(await late.next()).text, (await late.next()).text], ["0", "long"]);
  const resumed = await madeMember(hub, topic, "a", { after: from.replace(/\d+$/, "0") });
  assert.deepEqual([(await resumed.next()).text, (await resumed.next()).text], ["0", "long"]);
  assert.deepEqual(
    (await topic.history("a")).messages.map(({ message: { text } }) => text),
    ["0", "long"],
  );
});

test("high passes what waits, and low is not given to members that are behind", async () => {
  const { hub, topic } = start({});
  const member = await madeMember(hub, topic, "a");
  const sent = await topic.publish("a", { text: "1" }, { priority: "low" });
  assert.equal(sent.sent, 1, "it waits for one");
  assert.equal(
    (await topic.publish("a", { text: "2" }, { priority: "low" })).lagging,
    1,
    "the next one to be read",
  );
  assert.equal((await topic.publish("a", { text: "3" }, { priority: "low" })).dropped, 1);
  assert.equal((await topic.publish("a", { text: "4" })).lagging, 1);
  assert.equal((await topic.publish("a", { text: "5" }, { priority: "high" })).sent, 1);
  const texts: string[] = [];
  for (let i = 0; i < 4; i++) texts.push((await member.next()).text);
  assert.deepEqual(texts, ["1", "5", "2", "4"]);
  member.leave();
});

test("high with history is refused, and without it has no position", async () => {
  const { hub, topic } = start();
  const refused = await failure(topic.publish("a", { text: "x" }, { priority: "high" }));
  assert.deepEqual(
    [refused.code, refused.rawMessage.includes("history: false")],
    [Code.InvalidArgument, true],
  );
  const member = await madeMember(hub, topic, "a");
  const receipt = await topic.publish("a", { text: "x" }, { priority: "high", history: false });
  assert.deepEqual([receipt.position, receipt.sent], [undefined, 1]);
  const got = await member.next();
  assert.deepEqual([got.text, got.id], ["x", ""]);
  member.leave();
});

test("publishAll gives each its own outcome, in order", async () => {
  const { topic } = start();
  const all = await topic.publishAll([
    { room: "a", message: { text: "1" } },
    { room: "", message: { text: "2" } },
    { room: "a", message: { text: "3" } },
  ]);
  const outcomes = all.map((one) => (one instanceof ConnectError ? one.code : one.position?.split(".")[1]));
  assert.deepEqual(outcomes, ["1", Code.InvalidArgument, "2"]);
});

test("options that cannot be used are named", async () => {
  const { hub, topic } = start();
  for (const [options, why] of [
    [{ ttlMs: 0 }, /ttlMs/],
    [{ priority: "urgent" }, /priority/],
    [{ event: "a b" }, /event/],
    [{ key: "" }, /key/],
  ] as const) {
    const error = await failure(topic.publish("a", {}, options as object));
    assert.deepEqual(
      [error.code, why.test(error.rawMessage)],
      [Code.InvalidArgument, true],
      error.rawMessage,
    );
  }
  for (const [init, why] of [
    [{ initial: 3 }, /u: the topic's initial needs history/],
    [{ initial: 101, history }, /u: the topic's initial must be a number up to 100/],
    [{ history: { size: 0 } }, /u: the topic's history\.size must be at least 1/],
    [{ overflow: "BLOCK" }, /u: the topic's overflow must be/],
  ] as const) {
    assert.throws(() => hub.topic("u", schema, init as object), why);
  }
});
