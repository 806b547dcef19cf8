import { strict as assert } from "node:assert";
import { test } from "node:test";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import type { GroupQueue } from "../../src/messaging/broker.ts";
import { checkName, checkQueueNames, longestQueueName, queueName } from "../../src/messaging/queue-names.ts";

const names: readonly [topic: string, group: string, queue: GroupQueue | undefined, name: string][] = [
  ["orders", "mail", undefined, "orders.mail"],
  ["shop.v1.Stock", "shop.v1.Stock", undefined, "shop.v1.Stock"],
  ["orders", "mail", { kind: "retry", delayMs: 5000 }, "orders.mail.retry-5000"],
  ["orders", "mail", { kind: "again" }, "orders.mail.again"],
  ["stock", "stock", { kind: "dead" }, "stock.dead"],
];

for (const [topic, group, queue, name] of names) {
  test(`the queue ${queue?.kind ?? ""} of ${group} for ${topic} is ${name}`, () => {
    assert.equal(queueName(topic, group, queue), name);
  });
}

for (const name of ["orders", "shop.v1.Stock", "A-b_c.9", "x".repeat(249), "dead", "mail.dead.letters"]) {
  test(`a topic may be called ${name.slice(0, 20)}`, () => checkName("here", "topic", name));
}

for (const name of [
  "",
  "a/b",
  "a b",
  "ö",
  "..",
  "mail.dead",
  "mail.again",
  "mail.retry-5",
  "x".repeat(250),
]) {
  test(`a group cannot be called ${JSON.stringify(name.slice(0, 20))}`, () => {
    assert.throws(
      () => checkName("a.B/C (a.proto)", "group", name),
      (error) =>
        error instanceof SetupError && error.message.startsWith(`a.B/C (a.proto): the group "${name}" `),
    );
  });
}

test("names of queues fit into the limit with every end, and with the prefix", () => {
  const group = "g".repeat(longestQueueName - "t..retry-2147483647".length);
  checkQueueNames("here", "t", group);
  assert.throws(
    () => checkQueueNames("here", "t", `${group}g`),
    /here: the topic "t" and the group "g+" .* 250 char/,
  );
  assert.throws(() => checkQueueNames("here", "t", group, "prod."), /names of queues such as prod\.t\.g+/);
});
