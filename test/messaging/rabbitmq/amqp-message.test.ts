import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveriesOf, fromAmqp, originOf, toAmqp } from "../../../src/messaging/rabbitmq/amqp-message.ts";
import type { Message } from "../../../src/messaging/rabbitmq/peer.ts";
import { messageTo } from "../../support/brokers/readings.ts";

const options = { prefix: "p.", name: "shop" };

/** A message as the client hands it over. */
function delivered(properties: Partial<Message["properties"]>): Message {
  const none = {
    contentType: undefined,
    contentEncoding: undefined,
    headers: {},
    deliveryMode: 2,
    priority: undefined,
    correlationId: undefined,
    replyTo: undefined,
    expiration: undefined,
    messageId: undefined,
    timestamp: undefined,
    type: undefined,
    userId: undefined,
    appId: undefined,
    clusterId: undefined,
  };
  const fields = { deliveryTag: 1, redelivered: false, exchange: "", routingKey: "" };
  return { content: Buffer.from("b"), fields, properties: { ...none, ...properties } };
}

test("4 a message for a topic has its slot and type as routing key, and what it means as properties", () => {
  const message = messageTo("orders", "body", { key: "foobar" });
  const { exchange, routingKey, options: properties, body } = toAmqp(message, options, 5);
  assert.deepEqual(
    [exchange, routingKey, Buffer.from(body).toString()],
    ["p.orders", "s62.test.v1.Thing", "body"],
  );
  assert.deepEqual(
    { ...properties, headers: {} },
    {
      headers: {},
      deliveryMode: 2,
      mandatory: false,
      appId: "shop",
      contentType: "application/protobuf",
      contentEncoding: undefined,
      messageId: message.event?.id,
      type: "test.v1.Thing",
      timestamp: Date.UTC(2026, 0, 2) / 1_000,
    },
  );
  assert.equal(toAmqp(messageTo("orders", ""), options, 5).routingKey, "s05.test.v1.Thing");
});

test("30 a message for a queue of a group is returned where there is none", () => {
  const to = { kind: "queue", topic: "orders", group: "mail", queue: { kind: "dead" } } as const;
  const { exchange, routingKey, options: properties } = toAmqp(messageTo("orders", "", { to }), options, 0);
  assert.deepEqual([exchange, routingKey, properties.mandatory], ["", "p.orders.mail.dead", true]);
});

test("M20 headers of every kind of AMQP are handed over as they are, times as times", () => {
  const headers = {
    text: "t",
    number: 1.5,
    flag: true,
    table: { a: { b: 1 } },
    list: [1, "x"],
    nothing: null,
    bytes: Buffer.from("x"),
    time: { "!": "timestamp", value: 1_700_000_000 },
    "x-delivery-count": 3,
    "x-death": [],
    CC: ["a"],
    "cloudEvents:partitionkey": "k",
  };
  const { headers: given, key } = fromAmqp(delivered({ headers }));
  const { "x-delivery-count": _count, "x-death": _deaths, CC: _copies, ...kept } = headers;
  assert.deepEqual(Object.fromEntries(given), { ...kept, time: new Date(1_700_000_000_000) });
  assert.equal(key, "k");
});

test("10 a message expires behind its time where the sender has said when that was", () => {
  assert.equal(fromAmqp(delivered({ expiration: "500", timestamp: 10 })).expiresAtMs, 10_500);
  assert.equal(fromAmqp(delivered({ expiration: "500" })).expiresAtMs, undefined);
  assert.equal(fromAmqp(delivered({ timestamp: 10 })).expiresAtMs, undefined);
  assert.equal(fromAmqp(delivered({ expiration: "soon", timestamp: 10 })).expiresAtMs, undefined);
});

test("31 deliveries are counted by quorum queues alone", () => {
  assert.equal(deliveriesOf(delivered({}), true), 1);
  assert.equal(deliveriesOf(delivered({ headers: { "x-delivery-count": 4 } }), true), 5);
  assert.equal(deliveriesOf(delivered({ headers: { "x-delivery-count": 4 } }), false), undefined);
});

test("a message that has expired in a retry queue last is a retry", () => {
  const deaths = (queue: string, reason: string) =>
    delivered({ headers: { "x-death": [{ queue, reason }] as never } });
  assert.equal(originOf(deaths("orders.mail.retry-300", "expired"), "topic"), "retry");
  assert.equal(originOf(deaths("orders.mail.retry-300", "maxlen"), "topic"), "topic");
  assert.equal(originOf(deaths("elsewhere", "expired"), "topic"), "topic");
  assert.equal(originOf(delivered({ headers: { "x-death": "forged" as never } }), "again"), "again");
});
