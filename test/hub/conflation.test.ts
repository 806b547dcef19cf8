import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FollowRoomsResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { TopicInit } from "../../src/hub/topic-options.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember } from "./made-member.ts";

const everyMs = 100;

/** A topic whose publications are thinned, and what a member of its room has got, with the time. */
async function start(init: TopicInit = {}) {
  const clock = new VirtualClock();
  const hub = new Hub({}, { clock });
  const topic = hub.topic("t", FollowRoomsResponseSchema, { conflateEveryMs: everyMs, ...init });
  const member = await madeMember(hub, topic, "a");
  const got: { readonly text: string; readonly atMs: number; readonly id: string }[] = [];
  const begunMs = clock.nowMs();
  const reading = (async () => {
    for (;;) {
      const { text, id } = await member.next();
      got.push({ text, id, atMs: clock.nowMs() - begunMs });
    }
  })();
  reading.catch(() => {}); // The member has left.
  const settle = (): Promise<unknown> => clock.pass(0);
  return { clock, hub, topic, got, settle };
}

test("rule 33: of each key the first is sent at once, and the last one at the end of the time", async () => {
  const { clock, topic, got } = await start();
  for (const text of ["1", "2", "3"]) await topic.publish("a", { text, key: "x" });
  await topic.publish("a", { text: "other", key: "y" });
  await clock.pass(99);
  assert.deepEqual(
    got.map(({ text }) => text),
    ["1", "other"],
  );
  await clock.pass(1);
  assert.deepEqual(got.at(-1)?.text, "3");
  await topic.publish("a", { text: "4", key: "x" });
  await clock.pass(99);
  assert.deepEqual(got.at(-1)?.text, "3", "the time has begun anew with the last one");
  await clock.pass(1);
  assert.deepEqual(got.at(-1)?.text, "4");
  await clock.pass(everyMs);
  assert.equal(clock.nextMs, undefined, "no timer without publications");
  await topic.publish("a", { text: "5", key: "x" });
  await clock.pass(0);
  assert.deepEqual(
    got.map(({ text }) => text),
    ["1", "other", "3", "4", "5"],
  );
});

test("rule 33: publications without a key are all sent, at once", async () => {
  const { clock, topic, got } = await start();
  await topic.publish("a", { text: "k", key: "x" });
  await topic.publish("a", { text: "waits", key: "x" });
  for (const text of ["1", "2", "3"]) await topic.publish("a", { text });
  await clock.pass(0);
  assert.deepEqual(
    got.map(({ text }) => text),
    ["k", "1", "2", "3"],
  );
});

test("rule 33: whatever is published, a key is sent once in the time, its last one always, and positions are in order", async () => {
  const step = fc.record({
    key: fc.constantFrom("", "x", "y", "z"),
    waitMs: fc.constantFrom(0, 0, 10, 60, 130),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.boolean(), async (steps, kept) => {
      const { clock, topic, got } = await start(kept ? { history: {} } : {});
      const last = new Map<string, string>();
      const unkeyed: string[] = [];
      for (const [number, { key, waitMs }] of steps.entries()) {
        const text = `${key} ${number}`;
        await topic.publish("a", { text, key });
        if (key === "") unkeyed.push(text);
        else last.set(key, text);
        await clock.pass(waitMs);
      }
      await clock.pass(10 * everyMs);
      const texts = got.map(({ text }) => text);
      assert.deepEqual(
        texts.filter((text) => text.startsWith(" ")),
        unkeyed,
      );
      for (const [key, text] of last) {
        const own = got.filter((one) => one.text.startsWith(`${key} `));
        assert.equal(own.at(-1)?.text, text);
        for (const [place, { atMs }] of own.entries())
          assert.ok(place === 0 || atMs - (own[place - 1]?.atMs ?? 0) >= everyMs);
      }
      const offsets = got.map(({ id }) => Number(id.split(".")[1]));
      if (kept)
        assert.deepEqual(
          offsets,
          [...offsets].sort((a, b) => a - b),
        );
    }),
    { numRuns: 60 },
  );
});

test("rule 33: what waits in a room that is cleared is not sent", async () => {
  const { clock, topic, got } = await start({ history: {} });
  await topic.publish("a", { text: "1", key: "x" });
  await topic.publish("a", { text: "2", key: "x" });
  await topic.clear("a");
  await clock.pass(everyMs);
  assert.deepEqual(
    got.map(({ text }) => text),
    ["1"],
  );
});
