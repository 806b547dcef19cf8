import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { toNatsBrokerOptions } from "../../../src/messaging/nats/nats-options.ts";
import { groupTopology, placeOf } from "../../../src/messaging/nats/topology.ts";
import { specOf } from "../../support/brokers/readings.ts";

suite("2, 38 what a group has at NATS", () => {
  const options = toNatsBrokerOptions({ prefix: "prod.", replicas: 3, maxAgeMs: 60_000 });

  test("a stream of its topic, one of its queues, and a consumer of each subject that it reads", () => {
    const { streams, reads } = groupTopology(
      specOf("shop.orders", "mail", { retryDelaysMs: [1_000] }),
      options,
    );
    assert.deepEqual(
      streams.map(({ name, subjects, replicas, maxAgeMs, duplicateWindowMs }) => [
        name,
        subjects,
        replicas,
        maxAgeMs,
        duplicateWindowMs,
      ]),
      [
        ["prod=shop=orders", ["prod.shop.orders"], 3, 60_000, 60_000],
        [
          "prod=shop=orders=mail+queues",
          ["prod.shop.orders.mail.dead", "prod.shop.orders.mail.again", "prod.shop.orders.mail.retry-1000"],
          3,
          0,
          120_000,
        ],
      ],
    );
    assert.deepEqual(
      reads.map(({ name, subject, origin }) => [name, subject, origin]),
      [
        ["prod=mail", "prod.shop.orders", "topic"],
        ["again", "prod.shop.orders.mail.again", "again"],
        ["retry-1000", "prod.shop.orders.mail.retry-1000", "retry"],
      ],
    );
  });

  test("what is moved goes to a subject that the stream of the group's queues has", () => {
    const spec = specOf("orders", "orders", { retryDelaysMs: [5] });
    const { queues } = groupTopology(spec, options);
    for (const queue of [{ kind: "dead" }, { kind: "again" }, { kind: "retry", delayMs: 5 }] as const) {
      const place = placeOf({ kind: "queue", topic: "orders", group: "orders", queue }, options);
      assert.equal(place.stream.name, queues.name);
      assert.ok(queues.subjects.includes(place.subject), place.subject);
    }
  });
});
