import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import {
  messageTo,
  newTopic,
  publish,
  Reading,
  refusalOf,
  specOf,
  textOf,
} from "../../support/brokers/readings.ts";
import { all } from "../../support/failure.ts";
import { withoutKafka as skip } from "../../support/kafka-server.ts";
import { kafkaFixture, soon } from "./kafka-fixture.ts";

const world = kafkaFixture();
const quick = { reconnect: { initialMs: 50, maxMs: 500 } };

suite("Kafka:", { skip }, () => {
  test("36 messages without a key spread over all partitions, those of one key do not", async () => {
    const broker = await world.broker();
    const topic = newTopic();
    const counts = new Map<number, number>();
    for (let batch = 0; batch < 10; batch++) {
      const messages = Array.from({ length: 1_000 }, (_, i) => messageTo(topic, `${i}`));
      for (const { partition = -1 } of await publish(broker, ...messages)) {
        counts.set(partition, (counts.get(partition) ?? 0) + 1);
      }
    }
    assert.equal(counts.size, 6);
    for (const count of counts.values()) assert.ok(Math.abs(count - 10_000 / 6) < 1_000 / 6, String(count));
    const ofKey = Array.from({ length: 50 }, (_, i) => messageTo(topic, `${i}`, { key: "büch" }));
    const places = await publish(broker, ...ofKey);
    assert.equal(new Set(places.map(({ partition }) => partition)).size, 1);
    const offsets = places.map(({ offset }) => Number(offset));
    assert.deepEqual(
      offsets,
      offsets.map((_, i) => (offsets[0] ?? 0) + i),
    );
  });

  test("20 what is settled out of order is not handled again by the next reader, and nothing else is left out", async () => {
    const broker = await world.broker();
    const topic = newTopic();
    const spec = specOf(topic, "g");
    const first = await Reading.start(broker, spec);
    await publish(broker, ...Array.from({ length: 40 }, (_, i) => messageTo(topic, `${i}`, { key: "k" })));
    await first.until(40, 10_000);
    for (const [i, delivery] of first.deliveries.entries()) {
      if (i % 3 === 1) delivery.settle();
    }
    const stopped = first.subscription.stop();
    for (const delivery of first.deliveries) delivery.release();
    await stopped;
    const second = await Reading.start(await world.broker(), spec, true);
    await second.until(27, 10_000);
    await sleep(200);
    const expected = Array.from({ length: 40 }, (_, i) => i).filter((i) => i % 3 !== 1);
    assert.deepEqual(second.texts.map(Number), expected);
    await second.subscription.stop();
  });

  test("20 nothing runs that is `maxAhead` behind the first message that is not settled", async () => {
    const broker = await world.broker({ maxAhead: 10 });
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g", { prefetch: 64 }));
    await publish(broker, ...Array.from({ length: 40 }, (_, i) => messageTo(topic, `${i}`, { key: "k" })));
    await reading.until(10, 10_000);
    const settle = (from: number): void =>
      reading.deliveries.slice(from).forEach((delivery) => delivery.settle());
    settle(1);
    await sleep(200);
    assert.equal(reading.deliveries.length, 10);
    reading.deliveries[0]?.settle();
    await reading.until(20, 10_000);
    for (let count = 20; count <= 40; count += 10) {
      await reading.until(count, 10_000);
      settle(0);
    }
    await reading.subscription.stop();
  });

  test("37 offsets that are not there any more: it goes on, and says so with both numbers", async () => {
    const logged: Readonly<Record<string, unknown>>[] = [];
    const broker = await world.broker({ logger: { error: (fields) => logged.push(fields) }, partitions: 1 });
    const topic = newTopic();
    const spec = specOf(topic, "g");
    const first = await Reading.start(broker, spec, true);
    await publish(broker, ...Array.from({ length: 5 }, (_, i) => messageTo(topic, `${i}`)));
    await first.until(5, 10_000);
    await first.subscription.stop();
    await publish(broker, ...Array.from({ length: 5 }, (_, i) => messageTo(topic, `${5 + i}`)));
    await world.server.deleteRecords(topic, 0, 8n);
    const second = await Reading.start(broker, spec, true);
    await second.until(2, 10_000);
    assert.deepEqual(second.texts, ["8", "9"]);
    const [said] = logged;
    assert.deepEqual(
      { topic: said?.["topic"], from: said?.["from"], to: said?.["to"] },
      { topic, from: 5, to: 8 },
    );
    await second.subscription.stop();
  });

  test("12 with `declare: false` missing topics are refused, where they are read and where they are written", async () => {
    const broker = await world.broker({ declare: false });
    const topic = newTopic();
    const error = await refusalOf(broker, messageTo(topic, "x"));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, new RegExp(`there is no topic ${topic}`));
    await assert.rejects(
      Reading.start(broker, specOf(topic, "g", { declare: false })),
      (reason) => reason instanceof SetupError && reason.message.includes(`there is no topic ${topic}`),
    );
  });

  test("12 a message that is larger than its topic takes is refused", async () => {
    const broker = await world.broker();
    const error = await refusalOf(broker, messageTo(newTopic(), "", { body: Buffer.alloc(2_000_000) }));
    assert.equal(error.code, Code.ResourceExhausted);
  });

  test("37 dead letters: of one event the last counts, also of one without a body", async () => {
    const broker = await world.broker();
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g"));
    const to = { kind: "queue", topic, group: "g", queue: { kind: "dead" } } as const;
    const headers = new Map([["x-ts-ms-dead-reason", "permanent"]]);
    const letter = messageTo(topic, "once", { to, headers, key: "k" });
    await publish(broker, letter, { ...letter, body: Buffer.from("twice") });
    await publish(broker, messageTo(topic, "", { to, headers, key: "k", body: undefined }));
    const box = broker.deadLetters(topic, "g");
    const { signal } = new AbortController();
    const letters = await all(box.list({ limit: 10, signal }));
    assert.deepEqual(
      letters.map(({ message }) => [message.key, textOf(message)]),
      [
        ["k", "twice"],
        ["k", undefined],
      ],
    );
    assert.equal(await box.drain(async () => true, { limit: 10, signal }), 2);
    assert.equal(await box.count(), 0);
    await reading.subscription.stop();
  });

  test("35 a retry topic whose delay is no more one of the group is read while it exists", async () => {
    const broker = await world.broker();
    const topic = newTopic();
    const before = await Reading.start(broker, specOf(topic, "g", { retryDelaysMs: [700] }));
    await before.subscription.stop();
    const to = { kind: "queue", topic, group: "g", queue: { kind: "retry", delayMs: 700 } } as const;
    await publish(broker, messageTo(topic, "late", { to }));
    const reading = await Reading.start(broker, specOf(topic, "g", { retryDelaysMs: [900] }), true);
    assert.equal((await reading.next(10_000)).from, "retry");
    await reading.subscription.stop();
  });

  test("M17 a topic that is deleted is made again, published to and read within 5 s", async () => {
    const broker = await world.broker(quick);
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g"), true);
    await publish(broker, messageTo(topic, "before"));
    await reading.until(1, 10_000);
    await world.server.deleteTopic(topic);
    const beganMs = performance.now();
    await publish(broker, messageTo(topic, "after"));
    await reading.until(2, 10_000);
    assert.ok(performance.now() - beganMs < 5_000, `${performance.now() - beganMs} ms`);
    await reading.subscription.stop();
  });

  test("13 M24 Kafka is silent: UNAVAILABLE by the deadline, with what is known; then it goes on, in order", async () => {
    const broker = await world.broker(quick);
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g", { ordering: "key" }), true);
    await publish(broker, messageTo(topic, "0", { key: "k" }));
    world.server.freeze();
    const [first, second] = [messageTo(topic, "1", { key: "k" }), messageTo(topic, "2", { key: "k" })];
    const gone = refusalOf(broker, first, AbortSignal.timeout(1_000));
    await sleep(100);
    const waits = publish(broker, second);
    const error = await gone;
    assert.equal(error.code, Code.Unavailable);
    assert.match(error.rawMessage, new RegExp(`^sent and not confirmed: .* id ${first.event?.id}`));
    const unsent = await refusalOf(broker, messageTo(topic, "3", { key: "k" }), AbortSignal.timeout(300));
    assert.match(unsent.rawMessage, /^not sent/);
    world.server.thaw();
    await waits;
    await reading.until(3, 20_000);
    assert.deepEqual(reading.texts, ["0", "1", "2"]);
    await reading.subscription.stop();
  });

  test("M01 Kafka ends and comes back: publishing and reading go on within 10 s of that", async () => {
    const broker = await world.broker(quick);
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g"), true);
    await publish(broker, messageTo(topic, "0"));
    await reading.until(1, 10_000);
    await world.server.kill();
    await soon(async () =>
      broker.check().then(
        () => false,
        (reason: unknown) => reason instanceof ConnectError && reason.code === Code.Unavailable,
      ),
    );
    const waits = broker.publish([messageTo(topic, "1")], { signal: AbortSignal.timeout(60_000) });
    await world.server.restart();
    const beganMs = performance.now();
    const [outcome] = await waits;
    assert.ok(!(outcome instanceof ConnectError));
    await reading.until(2, 20_000);
    assert.ok(performance.now() - beganMs < 10_000, `${performance.now() - beganMs} ms`);
    await reading.subscription.stop();
  });
});
