import assert from "node:assert/strict";
import { test } from "node:test";
import { groupTopology, routingKey, slotOf } from "../../../src/messaging/rabbitmq/topology.ts";
import { specOf } from "../../support/brokers/readings.ts";

const quorum = { prefix: "prod.", queueType: "quorum", partitions: 1 } as const;

test("33 an unordered group takes each of its types, from every slot", () => {
  const topology = groupTopology(
    specOf("orders", "mail", { types: ["a.B", "a.C"], retryDelaysMs: [1_000] }),
    quorum,
  );
  assert.equal(topology.exchange, "prod.orders");
  assert.equal(topology.isOrdered, false);
  const toDead = {
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "prod.orders.mail.dead",
    "x-overflow": "reject-publish",
    "x-dead-letter-strategy": "at-least-once",
  };
  const args = { "x-queue-type": "quorum", "x-delivery-limit": 100, ...toDead };
  assert.deepEqual(
    topology.reads.map(({ name, args: given, patterns, prefetch }) => [name, given, patterns, prefetch]),
    [
      ["prod.orders.mail", args, ["*.a.B", "*.a.C"], 64],
      ["prod.orders.mail.again", args, [], 8],
    ],
  );
  assert.deepEqual(topology.others, [
    {
      name: "prod.orders.mail.retry-1000",
      args: {
        ...toDead,
        "x-queue-type": "quorum",
        "x-message-ttl": 1_000,
        "x-dead-letter-routing-key": "prod.orders.mail",
      },
    },
    {
      name: "prod.orders.mail.dead",
      args: { "x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000 },
    },
  ]);
  assert.deepEqual(topology.leftOver, []);
});

test("classic queues have no argument that only quorum queues know; without dead letters nothing names them", () => {
  const topology = groupTopology(specOf("orders", "mail", { deadLetters: false }), {
    ...quorum,
    queueType: "classic",
  });
  assert.deepEqual(
    topology.reads.map(({ args }) => args),
    [{ "x-queue-type": "classic" }, { "x-queue-type": "classic" }],
  );
  assert.deepEqual(topology.others, []);
});

for (const partitions of [1, 2, 3, 64]) {
  test(`33 ${partitions} partitions of an ordered group share the slots: each is in one`, () => {
    const spec = specOf("orders", "mail", { types: ["a.B"], ordering: "key" });
    const { reads, leftOver } = groupTopology(spec, { ...quorum, partitions });
    const queues = reads.filter(({ from }) => from === "topic");
    assert.equal(queues.length, partitions);
    assert.ok(queues.every(({ args }) => args["x-single-active-consumer"] === true));
    const taken = queues.flatMap(({ patterns }) => patterns);
    const slots = Array.from({ length: 64 }, (_, slot) => routingKey(slot, "a.B"));
    assert.deepEqual(taken.toSorted(), partitions === 1 ? ["*.a.B"] : slots);
    // Whatever number there was before: no other queue keeps a slot.
    for (const { patterns, gonePatterns } of [...queues, ...leftOver]) {
      if (patterns.includes("*.a.B")) continue; // It takes all.
      assert.deepEqual([...patterns, ...gonePatterns].toSorted(), ["*.a.B", ...slots]);
    }
    assert.equal(leftOver.length, 64 - partitions);
  });
}

test("35 with several partitions a retry queue gives messages to the queue of replays", () => {
  const spec = specOf("orders", "mail", { ordering: "key", retryDelaysMs: [5] });
  const { others } = groupTopology(spec, { ...quorum, partitions: 4 });
  assert.equal(others[0]?.args["x-dead-letter-routing-key"], "prod.orders.mail.again");
});

test("33 the slot of a key is murmur2 modulo 64", () => {
  assert.equal(routingKey(slotOf("foobar"), "a.B"), `s${(-790_332_482 & 0x7fff_ffff) % 64}.a.B`);
});
