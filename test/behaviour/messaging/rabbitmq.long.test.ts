import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import type { Delivery } from "../../../src/messaging/broker.ts";
import { publish, Reading, refusalOf, specOf, messageTo } from "../../support/brokers/readings.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { all, failure } from "../../support/failure.ts";
import { inQueue, messagesTo, rabbitMqFixture, soon, textOf } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const inTime = 20_000;

test("4 attributes are headers with their prefix, and properties that mean the same", { skip }, async () => {
  const one = await rabbit.broker({ name: "shop" });
  const reading = await Reading.start(one, specOf("sent", "mail"), true);
  const event = {
    id: "7",
    source: "/shop",
    type: "test.v1.Thing",
    subject: "s",
    timeMs: 1_700_000_000_123,
    extensions: new Map([["correlationid", "c"]]),
  };
  const headers = new Map([
    ["x-mine", "é"],
    ["x-death", "no"],
    ["x-delivery-count", "9"],
  ]);
  await publish(one, messageTo("sent", "body", { key: "k", event, headers }));
  const { message, deliveries, partition, offset } = await reading.next(inTime);
  assert.deepEqual(Object.fromEntries(message.headers), {
    cloudEvents_specversion: "1.0",
    cloudEvents_id: "7",
    cloudEvents_source: "/shop",
    cloudEvents_type: "test.v1.Thing",
    cloudEvents_subject: "s",
    cloudEvents_time: "2023-11-14T22:13:20.123Z",
    cloudEvents_correlationid: "c",
    cloudEvents_partitionkey: "k",
    "x-mine": "é",
  });
  assert.deepEqual([deliveries, partition, offset], [1, undefined, undefined]);
});

test("33 a group gets no types but those that it takes", { skip }, async () => {
  const one = await rabbit.broker();
  const reading = await Reading.start(one, specOf("types", "g", { types: ["a.B", "a.C"] }), true);
  const typed = (type: string) => {
    const message = messageTo("types", type);
    return { ...message, ...(message.event && { event: { ...message.event, type } }) };
  };
  await publish(one, ...["a.B", "a.B.C", "B", "x.a.B", "a.C"].map(typed));
  await reading.until(2, inTime);
  await soon(async () => [...(await reading.subscription.lag()).values()][0] === 0);
  assert.deepEqual(reading.texts, ["a.B", "a.C"]);
});

test(
  "12 without the exchange and with declare false a message is refused, and a group too",
  { skip },
  async () => {
    const one = await rabbit.broker({ declare: false });
    const error = await refusalOf(one, messageTo("nowhere", ""));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /no exchange 'nowhere'.*not to be made/);
    await assert.rejects(
      one.subscribe(specOf("nowhere", "g", { declare: false }), () => {}),
      (reason) => {
        assert.ok(reason instanceof SetupError);
        return reason.message.includes("no exchange 'nowhere'");
      },
    );
  },
);

test(
  "34 a queue in another form is a SetupError with queue, argument and both values",
  { skip },
  async () => {
    const one = await rabbit.broker();
    const first = await one.subscribe(specOf("form", "g", { maxDeliveries: 10 }), () => {});
    await first.stop();
    await assert.rejects(
      one.subscribe(specOf("form", "g", { maxDeliveries: 20 }), () => {}),
      (reason) => {
        assert.ok(reason instanceof SetupError);
        assert.equal(
          reason.message,
          "RabbitMQ: the queue form.g is there with x-delivery-limit 10, and 20 is asked for: " +
            "delete it, or give the options that it was made with",
        );
        return true;
      },
    );
    await one.check(); // The failed subscription is none of its.
  },
);

test("32 a dead letter has the same id each time that it is listed", { skip }, async () => {
  const one = await rabbit.broker();
  const subscription = await one.subscribe(specOf("dead", "g"), () => {});
  const box = one.deadLetters("dead", "g");
  const dead = inQueue("dead", "g", { kind: "dead" });
  await publish(one, ...["1", "2", "3"].map((text) => messageTo("dead", text, dead)));
  const options = { limit: 10, signal: AbortSignal.timeout(inTime) };
  const first = (await all(box.list(options))).map(({ id }) => id);
  for (let round = 0; round < 30; round++) {
    await soon(async () => (await box.count()) === 3); // What was listed is given back.
    const listed = await all(box.list(options));
    assert.deepEqual(
      listed.map(({ id }) => id),
      first,
    );
  }
  assert.equal(await one.deadLetters("dead", "unknown").count(), 0);
  await subscription.stop();
});

test("30 what the broker itself takes out of a queue is a dead letter of the group", { skip }, async () => {
  const one = await rabbit.broker();
  const subscription = await one.subscribe(specOf("limit", "g", { maxDeliveries: 2 }), (delivery) =>
    delivery.release(),
  );
  await publish(one, messageTo("limit", "poison"));
  const box = one.deadLetters("limit", "g");
  await soon(async () => (await box.count()) === 1);
  const [letter] = await all(box.list({ limit: 1, signal: AbortSignal.timeout(inTime) }));
  const headers = new Map(letter?.message.headers);
  assert.equal(headers.get("x-first-death-reason"), "delivery_limit");
  await subscription.stop();
});

for (const ordering of ["none", "key"] as const) {
  test(`27 a pause outlives a lost connection (${ordering})`, { skip }, async () => {
    const one = await rabbit.broker();
    const topic = `paused-${ordering}`;
    const reading = await Reading.start(one, specOf(topic, "g", { ordering }), true);
    await publish(one, messageTo(topic, "1", { key: "k" }));
    await reading.next(inTime);
    const { subscription } = reading;
    subscription.pause();
    await publish(one, messageTo(topic, "2", { key: "k" }));
    const before = one.connection.reconnects;
    await rabbit.server.closeConnections();
    // That of publishing, and that of consuming: they may be back before one has seen that they were away.
    await soon(() => one.connection.reconnects >= before + 2 && subscription.connected);
    await publish(one, messageTo(topic, "3", { key: "k" }));
    assert.deepEqual(reading.texts, ["1"]);
    subscription.resume();
    await reading.until(3, inTime);
    assert.deepEqual(reading.texts, ["1", "2", "3"]);
  });
}

test(
  "40 an ordered group's next reader begins when the running handlers of the first have ended",
  { skip },
  async () => {
    const [one, two] = [await rabbit.broker(), await rabbit.broker()];
    const spec = specOf("single", "g", { ordering: "key", prefetch: 3 });
    const first = await Reading.start(one, spec);
    const second = await Reading.start(two, spec, true);
    await publish(one, ...messagesTo("single", ["1", "2", "3", "4", "5"]));
    const running = await first.next(inTime);
    await first.until(3, inTime);
    for (const waiting of first.deliveries.slice(1)) waiting.release();
    const stopped = first.subscription.stop();
    await soon(async () => /single\.g\b/.test(await rabbit.server.ctl("list_consumers", "queue_name")));
    assert.deepEqual(second.texts, []);
    running.settle();
    await stopped;
    await second.until(4, inTime);
    assert.deepEqual(second.texts, ["2", "3", "4", "5"]);
  },
);

test(
  "33 partitions divide the keys of an ordered group; with other numbers of them nothing is lost",
  { skip },
  async () => {
    const keys = Array.from({ length: 40 }, (_, at) => `key-${at}`);
    const send = (round: string) => keys.map((key) => messageTo("parts", `${round}-${key}`, { key }));
    let left = 0;
    for (const [round, partitions] of [1, 4, 2, 1].entries()) {
      const one = await rabbit.broker({ partitions });
      const reading = await Reading.start(one, specOf("parts", "g", { ordering: "key" }), true);
      await reading.until(left, inTime);
      await publish(one, ...send(String(round)));
      await reading.until(left + keys.length, inTime);
      const own = reading.deliveries.filter((delivery) => textOf(delivery).startsWith(`${round}-`));
      const queues = [...new Set(own.map(({ partition }) => partition))].toSorted((a = 0, b = 0) => a - b);
      assert.deepEqual(queues, partitions === 1 ? [undefined] : [0, 1, 2, 3].slice(0, partitions));
      await reading.subscription.stop();
      // These wait in the queues of this number of partitions.
      await publish(one, ...send(`waiting-${round}`));
      left = keys.length;
      assert.equal(new Set(reading.texts).size, reading.texts.length, "none comes twice");
    }
  },
);

test("a group of a process ends with its subscription, queues included", { skip }, async () => {
  const one = await rabbit.broker();
  const spec = specOf("all", "g.1", { broadcast: true, retryDelaysMs: [1_000] });
  const reading = await Reading.start(one, spec, true);
  await publish(one, messageTo("all", "1"));
  await reading.next(inTime);
  assert.match(await rabbit.server.ctl("list_queues", "name"), /^all\.g\.1$/m);
  await reading.subscription.stop();
  assert.doesNotMatch(await rabbit.server.ctl("list_queues", "name"), /^all\.g/m);
});

test(
  "41 a broker that is away is connected as soon as it is there; messages wait until their deadline",
  { skip },
  async () => {
    const group = await (await rabbit.broker()).subscribe(specOf("away", "g"), () => {});
    await group.stop();
    await rabbit.server.kill();
    const one = await rabbit.broker({ reconnect: { initialMs: 100, maxMs: 1_000 } });
    assert.equal(one.state, "listen");
    await assert.rejects(
      one.check(),
      (reason) => reason instanceof ConnectError && reason.code === Code.Unavailable,
    );
    const reading = await Reading.start(one, specOf("away", "g"), true);
    assert.equal(reading.subscription.connected, false);
    const late = await refusalOf(one, messageTo("away", "late"), AbortSignal.timeout(300));
    assert.equal(late.code, Code.Unavailable);
    assert.match(late.rawMessage, /^not sent: RabbitMQ: connect ECONNREFUSED/);
    const waiting = one.publish([messageTo("away", "1")], { signal: AbortSignal.timeout(60_000) });
    await rabbit.server.restart();
    const [published] = await waiting;
    assert.ok(!(published instanceof ConnectError));
    await reading.next(inTime);
    assert.equal(one.state, "ready");
    await one.check();
    assert.deepEqual(reading.texts, ["1"]);
  },
);

test("17 calls wait for their replies; a lost connection ends those that were sent", { skip }, async () => {
  const [caller, server] = [await rabbit.broker(), await rabbit.broker()];
  const reading = await Reading.start(server, specOf("calls", "calls"));
  const call = (text: string, timeoutMs = inTime) =>
    caller.call?.(messageTo("calls", text, { mandatory: true }), { signal: AbortSignal.timeout(timeoutMs) });
  const replyOf = async (asked: ReturnType<typeof call>) => Buffer.from((await asked)?.body ?? []).toString();
  const answer = async (delivery: Delivery, text: string): Promise<void> => {
    const { event, contentType, contentEncoding } = messageTo("", "");
    await delivery.reply?.({
      event,
      contentType,
      contentEncoding,
      headers: new Map(),
      body: Buffer.from(text),
    });
    delivery.settle();
  };
  const [first, second] = [call("1"), call("2")];
  const [one, two] = [await reading.next(inTime), await reading.next(inTime)];
  await answer(two, `to ${textOf(two)}`);
  await answer(one, `to ${textOf(one)}`);
  assert.deepEqual([await replyOf(first), await replyOf(second)], ["to 1", "to 2"]);

  const late = failure(call("3", 300) ?? Promise.resolve(), Code.Unavailable);
  const third = await reading.next(inTime);
  const error = await late;
  assert.match(error.rawMessage, /^sent, and no reply has come/);
  await answer(third, "too late"); // Its caller is gone; nothing happens.

  // On a busy machine the command that closes connections takes long.
  const lost = failure(call("4", 10 * inTime) ?? Promise.resolve(), Code.Unavailable);
  await reading.next(inTime);
  await rabbit.server.closeConnections();
  const cut = await lost;
  assert.match(cut.rawMessage, /its outcome is unknown/);
  const again = await reading.next(inTime); // By the server's own new connection.
  await answer(again, "too late");
  const fifth = call("5");
  const five = await reading.next(inTime);
  await answer(five, "to 5");
  assert.equal(await replyOf(fifth), "to 5");
});
