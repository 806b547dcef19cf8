import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { WatchRoomResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { isPushSource, type PushSource } from "../../src/core/call/push-source.ts";
import { Hub } from "../../src/hub/hub.ts";
import { madeCall } from "../support/made-call.ts";
import { longestTurnMs } from "../support/thread-time.ts";
import { settle } from "./made-member.ts";

const most = 64;
const behind = 200;

function startHub() {
  const hub = new Hub({ maxPerUser: 0, joinsPerSecond: 0 });
  const topic = hub.topic("t", WatchRoomResponseSchema, { ring: { size: 1_000, bytes: 64 * 1024 ** 2 } });
  const join = async () => {
    const call = madeCall({ door: "sse" });
    await hub.attach().gate.admit(call);
    return topic.join("a", call.context)[Symbol.asyncIterator]();
  };
  const publish = async (count: number) => {
    for (let i = 0; i < count; i++) {
      await topic.publish("a", { text: `${i}` });
      if (i % 20 === 0) await nextTurn(); // So that not all are of one turn.
    }
  };
  return { hub, topic, join, publish };
}

/** A call that has messages handed over, and takes none until it is told to. */
async function pushed(reader: AsyncIterator<unknown>, took: () => void) {
  assert.ok(isPushSource(reader));
  const source: PushSource = reader;
  let takes = false;
  source.push({
    take() {
      took();
      return takes;
    },
    ended: () => {},
    failed: (reason) => assert.fail(String(reason)),
  });
  await settle();
  return () => {
    takes = true;
    source.resume();
  };
}

test("rule 28: a member that was behind is handed at most 64 messages in a turn of the event loop", async () => {
  const { join, publish } = startHub();
  let taken = 0;
  const resume = await pushed(await join(), () => taken++);
  await publish(1 + behind);
  assert.equal(taken, 1, "it takes one, and no more");
  const turns: number[] = [];
  resume();
  for (let before = 1; taken < 1 + behind;) {
    turns.push(taken - before);
    before = taken;
    await nextTurn();
  }
  assert.ok(
    turns.every((count) => count <= most),
    turns.join(),
  );
});

test("rule 28: a member that asks for each message gets at most 64 in a turn of the event loop", async () => {
  const { join, publish } = startHub();
  const reader = await join();
  const first = reader.next();
  await settle();
  await publish(1 + behind);
  await first;
  let [taken, turn] = [0, 0];
  const turns: number[] = [];
  const counting = (async () => {
    while (taken < behind) {
      await nextTurn();
      turn++;
    }
  })();
  for (; taken < behind; taken++) {
    await reader.next();
    turns[turn] = (turns[turn] ?? 0) + 1;
  }
  await counting;
  assert.ok(
    turns.every((count) => count <= most),
    turns.join(),
  );
});

test("rule 28: members that were behind take turns of 64 messages", async () => {
  const { join, publish } = startHub();
  const took: string[] = [];
  const all: (() => void)[] = [];
  for (const name of ["a", "b", "c"]) all.push(await pushed(await join(), () => took.push(name)));
  await publish(1 + behind);
  took.length = 0;
  for (const resume of all) resume();
  while (took.length < 3 * behind) await nextTurn();
  const slices = took.join("").match(/a+|b+|c+/g) ?? [];
  assert.deepEqual(
    slices.map((slice) => `${slice[0]}${slice.length}`),
    [64, 64, 64, 8].flatMap((count) => ["a", "b", "c"].map((name) => `${name}${count}`)),
  );
});

test("rule 28: many members that were behind read on without holding up the event loop", async () => {
  const { join, publish } = startHub();
  const members = 1_000;
  let taken = 0;
  const all: (() => void)[] = [];
  for (let i = 0; i < members; i++) all.push(await pushed(await join(), () => taken++));
  await publish(1 + behind);
  taken = 0;
  const reading = async (): Promise<void> => {
    for (const resume of all) {
      resume(); // As connections say it that are free again: each in its own turn.
      await nextTurn();
    }
    while (taken < members * behind) await nextTurn();
  };
  const longest = await longestTurnMs(reading());
  assert.ok(longest <= 20, `${longest} ms`);
});
