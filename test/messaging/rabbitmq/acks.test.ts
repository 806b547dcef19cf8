import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Acks } from "../../../src/messaging/rabbitmq/acks.ts";
import { Numbered } from "../../../src/messaging/rabbitmq/numbered.ts";
import type { ConsumeMessage } from "../../../src/messaging/rabbitmq/peer.ts";

/** A channel that says what it was asked to do, and its deliveries. */
function channelOf(count: number, firstTag = 1) {
  const sent: string[] = [];
  const channel = {
    ack: ({ fields }: ConsumeMessage, isUpTo = false) =>
      void sent.push(`ack ${fields.deliveryTag}${isUpTo ? " and before" : ""}`),
    nack: ({ fields }: ConsumeMessage) => void sent.push(`nack ${fields.deliveryTag}`),
  };
  const acks = new Acks(channel as never); // It uses no other members.
  const messages = Array.from({ length: count }, (_, at) => {
    const message = { fields: { deliveryTag: firstTag + at } } as ConsumeMessage; // As above.
    acks.came(message);
    return message;
  });
  const settle = (...tags: readonly number[]): void => {
    for (const tag of tags) acks.settle(messages[tag - firstTag] as ConsumeMessage); // There are so many.
  };
  const release = (tag: number): void => acks.release(messages[tag - firstTag] as ConsumeMessage); // As above.
  return { acks, sent, settle, release };
}

test("20 what is settled in one turn is acknowledged together, and nothing that is open", async () => {
  const { sent, settle } = channelOf(8);
  settle(2, 1, 3);
  assert.deepEqual(sent, []);
  await turn();
  assert.deepEqual(sent.splice(0), ["ack 3 and before"]);
  settle(5, 6);
  await turn();
  assert.deepEqual(sent.splice(0), ["ack 5", "ack 6"]);
  settle(4);
  await turn();
  assert.deepEqual(sent.splice(0), ["ack 4"]);
  settle(8, 7);
  await turn();
  assert.deepEqual(sent, ["ack 8 and before"]);
});

test("20 what is given back is not acknowledged with others", async () => {
  const { acks, sent, settle, release } = channelOf(5, 11);
  release(11);
  settle(12, 14);
  acks.flush();
  assert.deepEqual(sent.splice(0), ["nack 11", "ack 14", "ack 12"]);
  settle(15);
  release(13);
  await turn();
  assert.deepEqual(sent, ["nack 13", "ack 15"]);
});

test("20 of any order of settling each delivery is acknowledged or given back once", async () => {
  const count = 5_000;
  const { sent, settle, release } = channelOf(count);
  const open = new Set(Array.from({ length: count }, (_, at) => at + 1));
  const order = [...open].map((tag) => [Math.sin(tag * 7.3) * 40 + tag, tag] as const);
  for (const [at, [, tag]] of order.toSorted(([a], [b]) => a - b).entries()) {
    if (tag % 7 === 0) release(tag);
    else settle(tag);
    if (at % 13 === 0) await turn();
  }
  await turn();
  for (const line of sent) {
    const tag = Number(line.split(" ")[1]);
    assert.ok(open.has(tag), line);
    const gone = line.endsWith("before") ? [...open].filter((other) => other <= tag) : [tag];
    for (const each of gone) open.delete(each);
    if (line.endsWith("before"))
      assert.ok(
        gone.every((each) => each % 7 !== 0),
        line,
      );
  }
  assert.deepEqual([...open], []);
  assert.ok(sent.length < count);
});

test("items leave by their numbers, in any order", () => {
  const items = new Numbered<string>();
  for (let number = 1; number <= 5_000; number++) items.add(String(number));
  assert.deepEqual(
    [items.first, items.take(2), items.take(2), items.take(0)],
    [1, "2", undefined, undefined],
  );
  assert.deepEqual([items.take(1), items.first, items.take(5_001)], ["1", 3, undefined]);
  for (let number = 3; number < 4_999; number++) assert.equal(items.take(number), String(number));
  assert.deepEqual([...items], ["4999", "5000"]);
  items.add("5001");
  assert.deepEqual([items.take(5_000), items.first], ["5000", 4_999]);
  assert.deepEqual(items.takeAll(), ["4999", "5001"]);
  items.add("5002");
  assert.deepEqual([items.first, items.take(5_002), items.first], [5_002, "5002", undefined]);
});
