import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import amqplib from "amqplib";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import type { Broker, Delivery } from "../../../src/messaging/broker.ts";
import { messageTo, publish, Reading, refusalOf, specOf } from "../../support/brokers/readings.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { inQueue, rabbitMqFixture, soon, textOf } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const inTime = 20_000;
const quick = { reconnect: { initialMs: 100, maxMs: 1_000 } };

/** Publishes until it is confirmed, again and again with one message. */
async function publishUntil(broker: Broker, topic: string, text: string): Promise<void> {
  const message = messageTo(topic, text);
  await soon(async () => {
    const [outcome] = await broker.publish([message], { signal: AbortSignal.timeout(1_000) });
    return !(outcome instanceof ConnectError);
  });
}

test(
  "M15: a connection is cut while 64 deliveries are unsettled: no other is settled, the window is whole again",
  { skip },
  async () => {
    const one = await rabbit.broker(quick);
    const reading = await Reading.start(one, specOf("cut", "g"));
    await publish(one, ...Array.from({ length: 130 }, (_, at) => messageTo("cut", String(at))));
    await reading.until(64, inTime);
    const before = reading.deliveries.slice();
    const [ended] = before;
    assert.ok(ended);
    const lost = new Promise<void>((resolve) => ended.lost.addEventListener("abort", () => resolve()));
    await rabbit.server.closeConnections();
    await lost;
    assert.ok(ended.lost.reason instanceof ConnectError && ended.lost.reason.code === Code.Aborted);
    await reading.until(128, inTime);
    for (const delivery of before) delivery.settle(); // It can be settled no more.
    const after = reading.deliveries.slice(64);
    assert.deepEqual(after.map(textOf).toSorted(), before.map(textOf).toSorted());
    assert.ok(after.every(({ redelivered }) => redelivered));
    for (const delivery of after) delivery.settle();
    await reading.until(192, inTime);
    for (const delivery of reading.deliveries.slice(128)) delivery.settle();
    await reading.until(194, inTime);
    for (const delivery of reading.deliveries.slice(192)) delivery.settle();
    await soon(async () => /^cut\.g\t0$/m.test(await rabbit.server.ctl("list_queues", "name", "messages")));
  },
);

test(
  "M16, M06: the broker's time for acknowledgements passes in a handler: its channel is made again",
  { skip },
  async () => {
    const set = (name: string, ms: number) =>
      rabbit.server.ctl("eval", `application:set_env(rabbit, ${name}, ${ms}).`);
    await set("consumer_timeout", 3_000);
    await set("channel_tick_interval", 500);
    try {
      const one = await rabbit.broker(quick);
      const reading = await Reading.start(one, specOf("slow", "g", { prefetch: 1 }));
      await publish(one, messageTo("slow", "1"), messageTo("slow", "2"));
      const slow = await reading.next(inTime);
      await soon(() => slow.lost.aborted);
      assert.match(String(slow.lost.reason), /delivery acknowledgement on channel \d+ timed out/);
      const again = await reading.next(5_000);
      slow.settle();
      assert.deepEqual([textOf(again), again.redelivered], ["1", true]);
      again.settle();
      assert.equal(textOf(await reading.next(5_000)), "2");
      await reading.subscription.stop().catch(() => {});
    } finally {
      await set("consumer_timeout", 1_800_000);
      await set("channel_tick_interval", 60_000);
    }
  },
);

test("M17: the queue under a reader is deleted", { skip }, async () => {
  const one = await rabbit.broker(quick);
  const reading = await Reading.start(one, specOf("gone-queue", "g"), true);
  await rabbit.server.ctl("delete_queue", "gone-queue.g");
  await soon(() => !reading.subscription.connected);
  await soon(() => reading.subscription.connected, 5_000);
  await publish(one, messageTo("gone-queue", "1"));
  await reading.next(5_000);
});

test("M17: the exchange is deleted", { skip }, async () => {
  const one = await rabbit.broker(quick);
  const reading = await Reading.start(one, specOf("gone-exchange", "g"), true);
  await publish(one, messageTo("gone-exchange", "1"));
  await reading.next(inTime);
  const connection = await amqplib.connect(rabbit.server.url);
  const channel = await connection.createChannel();
  await channel.deleteExchange("gone-exchange");
  const deletedMs = performance.now();
  await connection.close();
  await publish(one, messageTo("gone-exchange", "lost or not"));
  while (!reading.texts.includes("2")) {
    assert.ok(performance.now() - deletedMs < 5_000, "it is consumed again within 5 s");
    await publish(one, messageTo("gone-exchange", "2"));
    await sleep(100);
  }
});

test(
  "M13: a queue of dead letters that may not be written keeps its messages waiting, not lost",
  { skip },
  async () => {
    const permit = (written: string) => rabbit.server.ctl("set_permissions", "mover", ".*", written, ".*");
    await rabbit.server.ctl("add_user", "mover", "secret");
    await permit(".*");
    const url = rabbit.server.url.replace("guest:guest", "mover:secret");
    const one = await rabbit.broker({ ...quick, url });
    await Reading.start(one, specOf("forbidden", "g"));
    const dead = inQueue("forbidden", "g", { kind: "dead" });
    await publish(one, messageTo("forbidden", "1", dead));
    await permit("^forbidden.*$"); // Queues and their own exchange, and not the exchange that moves go by.
    await rabbit.server.closeConnections(); // Permissions are remembered by channels for a while.
    await refusalOf(one, messageTo("forbidden", "2", dead)); // Whatever it is, the move is tried again.
    await permit(".*");
    await rabbit.server.closeConnections();
    await soon(async () => {
      const [outcome] = await one.publish([messageTo("forbidden", "3", dead)], {
        signal: AbortSignal.timeout(5_000),
      });
      return outcome !== undefined && !(outcome instanceof ConnectError);
    });
    assert.equal(await one.deadLetters("forbidden", "g").count(), 2);
  },
);

test("M17: permissions are taken, and given back", { skip }, async () => {
  const permit = (pattern: string) =>
    rabbit.server.ctl("set_permissions", "other", pattern, pattern, pattern);
  await rabbit.server.ctl("add_user", "other", "secret");
  await permit(".*");
  const url = rabbit.server.url.replace("guest:guest", "other:secret");
  const one = await rabbit.broker({ ...quick, url });
  const reading = await Reading.start(one, specOf("permitted", "g"), true);
  await publish(one, messageTo("permitted", "1"));
  await reading.next(inTime);
  await permit("^$");
  await rabbit.server.closeConnections(); // Permissions are remembered by channels for a while.
  let refused = await refusalOf(one, messageTo("permitted", "refused"));
  if (refused.code === Code.Unavailable) refused = await refusalOf(one, messageTo("permitted", "refused"));
  assert.equal(refused.code, Code.PermissionDenied);
  assert.doesNotMatch(refused.rawMessage, /secret/);
  await soon(() => !reading.subscription.connected);
  await permit(".*");
  await publishUntil(one, "permitted", "2");
  await soon(() => reading.subscription.connected, 5_000);
  await publish(one, messageTo("permitted", "3"));
  await reading.until(3, inTime);
});

test(
  "M13: the queue of dead letters is deleted, full: a move fails, and succeeds as soon as that is over",
  { skip },
  async () => {
    const one = await rabbit.broker(quick);
    await Reading.start(one, specOf("moved", "g"));
    const dead = inQueue("moved", "g", { kind: "dead" });
    const move = (text: string) =>
      one.publish([messageTo("moved", text, dead)], { signal: AbortSignal.timeout(5_000) });
    const count = () => one.deadLetters("moved", "g").count();
    await publish(one, messageTo("moved", "1", dead));
    await rabbit.server.ctl("delete_queue", "moved.g.dead");
    const [first] = await move("2"); // It is made again for the next one, if it was not already.
    if (first instanceof ConnectError) assert.match(first.rawMessage, /^no queue takes moved\.g\.dead/);
    await publish(one, messageTo("moved", "3", dead));
    await soon(async () => (await count()) === (first instanceof ConnectError ? 1 : 2));
    const policy = '{"max-length":2,"overflow":"reject-publish"}';
    await rabbit.server.ctl("set_policy", "full", "^moved\\.g\\.dead$", policy, "--apply-to", "queues");
    let refused: ConnectError | undefined;
    for (let sent = 4; sent < 20 && refused === undefined; sent++) {
      const [outcome] = await move(String(sent));
      if (outcome instanceof ConnectError) refused = outcome;
    }
    assert.equal(refused?.code, Code.Unavailable);
    assert.ok((retryAfterMsOf(refused) ?? 0) > 0);
    const letters = { limit: 100, signal: AbortSignal.timeout(inTime) };
    assert.ok((await one.deadLetters("moved", "g").drain(async () => true, letters)) > 0);
    await soon(async () => !((await move("last"))[0] instanceof ConnectError));
    await rabbit.server.ctl("clear_policy", "full");
  },
);

test("M07: an alarm blocks publishers until their deadline, and no acknowledgement", { skip }, async () => {
  const one = await rabbit.broker(quick);
  const unsettled: Delivery[] = [];
  const spec = specOf("alarm", "g", { prefetch: 10 });
  await one.subscribe(spec, (delivery) => void unsettled.push(delivery));
  await publish(one, ...Array.from({ length: 30 }, (_, at) => messageTo("alarm", String(at))));
  await rabbit.server.ctl("set_vm_memory_high_watermark", "0.000001");
  try {
    // RabbitMQ says so to a connection that publishes.
    await soon(async () => {
      const refused = await refusalOf(one, messageTo("alarm", "blocked"), AbortSignal.timeout(500));
      assert.equal(refused.code, Code.Unavailable);
      return refused.rawMessage.startsWith("not sent: RabbitMQ takes no messages: low on memory");
    });
    await assert.rejects(one.check(), /low on memory/);
    for (let settled = 0; settled < 30; settled++) {
      await soon(() => unsettled.length > 0);
      unsettled.shift()?.settle();
    }
  } finally {
    await rabbit.server.ctl("set_vm_memory_high_watermark", "0.4");
  }
  await publishUntil(one, "alarm", "after");
  await one.check();
});

test(
  "M24: RabbitMQ is silent: publishers fail by their deadline, and go on when it answers",
  { skip },
  async () => {
    for (const silentMs of [1_500, 6_000]) {
      const one = await rabbit.broker({ ...quick, heartbeatMs: 1_000 });
      const topic = `silent-${silentMs}`;
      const reading = await Reading.start(one, specOf(topic, "g"), true);
      await publish(one, messageTo(topic, "before"));
      await reading.next(inTime);
      rabbit.server.freeze();
      try {
        const began = performance.now();
        const signal = AbortSignal.timeout(1_000);
        const outcomes = await one.publish(
          Array.from({ length: 500 }, (_, at) => messageTo(topic, String(at), { body: Buffer.alloc(1_000) })),
          { signal },
        );
        assert.ok(performance.now() - began < 1_200);
        for (const outcome of outcomes) {
          assert.ok(outcome instanceof ConnectError);
          assert.equal(outcome.code, Code.Unavailable);
          assert.match(
            outcome.rawMessage,
            /^(?:not sent: |sent and not confirmed: it may be stored; publish again with id id-)/,
          );
        }
        await sleep(silentMs - 1_000);
      } finally {
        rabbit.server.thaw();
      }
      await publishUntil(one, topic, "after");
      await soon(() => reading.texts.includes("after"));
    }
  },
);

test("M20: messages of other senders come as they are, those beside them too", { skip }, async () => {
  const one = await rabbit.broker();
  const reading = await Reading.start(one, specOf("foreign", "g"), true);
  const connection = await amqplib.connect(rabbit.server.url);
  const channel = await connection.createConfirmChannel();
  const send = (body: Buffer, headers: Record<string, unknown>) =>
    channel.publish("foreign", "s00.test.v1.Thing", body, { headers, persistent: true });
  send(Buffer.from("table"), { cloudEvents_id: { a: { b: [1, null] } } });
  send(Buffer.alloc(5 * 1024 * 1024, 1), {});
  send(Buffer.from("many"), Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`h${at}`, "v"])));
  send(Buffer.alloc(0), { cloudEvents_specversion: "0.3", time: { "!": "timestamp", value: 1 } });
  send(Buffer.from("beside"), {});
  await channel.waitForConfirms();
  await connection.close();
  await reading.until(5, inTime);
  const [table, large, many, empty, beside] = reading.deliveries.map(({ message }) => message);
  assert.deepEqual(table?.headers, [["cloudEvents_id", { a: { b: [1, null] } }]]);
  assert.equal(large?.body?.byteLength, 5 * 1024 * 1024);
  assert.equal(many?.headers.length, 2_000);
  assert.equal(empty?.body?.byteLength, 0);
  assert.deepEqual(empty?.headers[1], ["time", new Date(1_000)]);
  assert.equal(Buffer.from(beside?.body ?? []).toString(), "beside");
});
