import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import type { NatsLine, NatsMessage } from "../../../src/core/nats/nats-line.ts";
import { NatsLink } from "../../../src/core/nats/nats-link.ts";
import { systemClock } from "../../../src/core/time/clock.ts";
import { messageTo, newTopic, publish, Reading, refusalOf, specOf } from "../../support/brokers/readings.ts";
import { failure } from "../../support/failure.ts";
import { freePort } from "../../support/kept-server.ts";
import { NatsServer, withoutNats as skip } from "../../support/nats-server.ts";
import { natsFixture } from "./nats-fixture.ts";
import { inQueue, soon, textOf } from "./rabbitmq-fixture.ts";

const shared = natsFixture();
const quick = { reconnect: { initialMs: 100, maxMs: 1_000 }, singleReader: true };
const inTime = 10_000;

/** A connection of the test's own. */
async function lineTo(context: TestContext, url: string): Promise<NatsLine> {
  const connected = Promise.withResolvers<NatsLine>();
  const owner = { up: async (line: NatsLine) => connected.resolve(line), down: () => {} };
  const link = new NatsLink({ servers: [url] }, owner, systemClock);
  await link.start();
  context.after(() => link.close());
  return connected.promise;
}

/** Servers that tests end have no other tests. */
async function ownServer(context: TestContext): Promise<NatsServer> {
  const server = await NatsServer.start();
  context.after(() => server.stop());
  return server;
}

test("38 an ordered group is refused unless each has one process", { skip }, async () => {
  const topic = newTopic();
  const many = await shared.broker();
  await assert.rejects(Reading.start(many, specOf(topic, "g", { ordering: "key" })), (error) => {
    assert.ok(error instanceof SetupError);
    assert.match(error.message, new RegExp(`group g of the topic ${topic} is ordered.*singleReader: true`));
    return true;
  });
  await Reading.start(many, specOf(topic, "g", { ordering: "key", broadcast: true }));
  const one = await shared.broker({ singleReader: true });
  await Reading.start(one, specOf(topic, "g", { ordering: "key" }));
});

test("4, 38 a message is stored once by its id; its attributes are percent-encoded", { skip }, async (t) => {
  const topic = newTopic();
  const broker = await shared.broker();
  const reading = await Reading.start(broker, specOf(topic, "g"), true);
  const line = await lineTo(t, shared.server.url);
  const seen: NatsMessage[] = [];
  line.subscribe(topic, (message) => seen.push(message));
  await line.flush();
  const message = messageTo(topic, "once", { key: "a b" });
  const event = message.event && { ...message.event, subject: '50 % "ü"' };
  const [first] = await publish(broker, { ...message, event });
  const [second] = await publish(broker, { ...message, event });
  assert.equal(second?.offset, first?.offset);
  await publish(broker, messageTo(topic, "next"));
  await reading.until(2, inTime);
  assert.deepEqual(reading.texts, ["once", "next"]);
  const headers = seen[0]?.headers;
  assert.equal(headers?.get("Nats-Msg-Id"), `/test ${message.event?.id}`);
  assert.equal(headers?.get("ce-id"), message.event?.id);
  assert.equal(headers?.get("ce-subject"), "50%20%25%20%22%C3%BC%22");
  assert.equal(headers?.get("ce-partitionkey"), "a%20b");
  assert.equal(headers?.get("content-type"), "application/protobuf");
});

test(
  "38 events of two sources with one id are two; the same one published again is one",
  { skip },
  async () => {
    const topic = newTopic();
    const broker = await shared.broker();
    const reading = await Reading.start(broker, specOf(topic, "g"), true);
    const named = (source: string, id: string) => {
      const message = messageTo(topic, `${source}+${id}`);
      return { ...message, event: message.event && { ...message.event, source, id } };
    };
    // Joined without care, the texts of the last four would be two.
    const all = [
      named("/shop", "1"),
      named("/store", "1"),
      named("/a", "b c"),
      named("/a b", "c"),
      named("/a", "b%20c"),
      named("/a%20b", "c"),
    ];
    const first = await publish(broker, ...all);
    assert.equal(new Set(first.map(({ offset }) => offset)).size, all.length);
    const again = await publish(broker, ...all);
    assert.deepEqual(
      again.map(({ offset }) => offset),
      first.map(({ offset }) => offset),
    );
    await publish(broker, messageTo(topic, "last"));
    await reading.until(all.length + 1, inTime);
    assert.deepEqual(reading.texts, [...all.map(({ body }) => Buffer.from(body ?? []).toString()), "last"]);
  },
);

test("38 a message moved twice with its id is there twice", { skip }, async () => {
  const topic = newTopic();
  const broker = await shared.broker();
  const spec = specOf(topic, "g", { retryDelaysMs: [100, 200] });
  const reading = await Reading.start(broker, spec, true);
  const message = messageTo(topic, "moved");
  await publish(broker, { ...message, ...inQueue(topic, "g", { kind: "retry", delayMs: 100 }) });
  await publish(broker, { ...message, ...inQueue(topic, "g", { kind: "retry", delayMs: 200 }) });
  await publish(broker, { ...message, ...inQueue(topic, "g", { kind: "retry", delayMs: 100 }) });
  await reading.until(3, inTime);
  assert.deepEqual(
    reading.deliveries.map(({ from, deliveries }) => [from, deliveries]),
    [
      ["retry", 1],
      ["retry", 1],
      ["retry", 1],
    ],
  );
});

test("2 a retry queue of a delay that is no more is read on", { skip }, async () => {
  const topic = newTopic();
  const broker = await shared.broker();
  const before = await Reading.start(broker, specOf(topic, "g", { retryDelaysMs: [500] }));
  await publish(broker, messageTo(topic, "kept", inQueue(topic, "g", { kind: "retry", delayMs: 500 })));
  await before.subscription.stop();
  const after = await Reading.start(broker, specOf(topic, "g", { retryDelaysMs: [700] }), true);
  await after.until(1, inTime);
  assert.deepEqual(after.texts, ["kept"]);
});

test("38 what is worked at is not delivered again; what a process left behind is", { skip }, async () => {
  const topic = newTopic();
  const broker = await shared.broker({ ackWaitMs: 1_000 });
  const reading = await Reading.start(broker, specOf(topic, "g"));
  await publish(broker, messageTo(topic, "slow"));
  const delivery = await reading.next(inTime);
  await sleep(2_500);
  assert.equal(reading.deliveries.length, 1);
  delivery.release(300);
  const againMs = performance.now();
  const again = await reading.next(inTime);
  assert.ok(performance.now() - againMs >= 290);
  assert.equal(again.redelivered, true);
  // A process that ends without a word.
  await broker.gracefulStop({ graceMs: 0 });
  const other = await shared.broker({ ackWaitMs: 1_000 });
  const taken = await Reading.start(other, specOf(topic, "g"), true);
  await taken.until(1, inTime);
  assert.equal(taken.deliveries[0]?.redelivered, true);
});

test(
  "12 what the server does not take: too large, no such stream with declare: false",
  { skip },
  async () => {
    const broker = await shared.broker();
    const body = new Uint8Array(1024 * 1024);
    assert.equal((await refusalOf(broker, messageTo(newTopic(), "", { body }))).code, Code.ResourceExhausted);
    const strict = await shared.broker({ declare: false });
    const topic = newTopic();
    const missing = await refusalOf(strict, messageTo(topic, "x"));
    assert.equal(missing.code, Code.FailedPrecondition);
    assert.match(missing.rawMessage, new RegExp(`no stream ${topic}`));
    await assert.rejects(Reading.start(broker, specOf(topic, "g", { declare: false })), SetupError);
  },
);

test("M01 41: NATS comes late, ends and comes back: publishing and reading go on", { skip }, async (t) => {
  const server = await ownServer(t);
  await server.kill();
  const broker = await shared.broker({ ...quick, url: server.url });
  assert.equal(broker.state, "listen");
  assert.equal(broker.connection.connected, false);
  const reading = await Reading.start(broker, specOf("late", "g"), true);
  const signal = AbortSignal.timeout(500);
  const away = await refusalOf(broker, messageTo("late", "lost"), signal);
  assert.match(away.rawMessage, /^not sent: NATS: /);
  const waiting = publish(broker, messageTo("late", "1"));
  await server.restart();
  await waiting;
  assert.equal(broker.state, "ready");
  await reading.until(1, inTime);
  await server.kill();
  const next = publish(broker, messageTo("late", "2"));
  await server.restart();
  await next;
  await reading.until(2, inTime);
  assert.deepEqual(reading.texts, ["1", "2"]);
  assert.ok(broker.connection.reconnects >= 1);
});

test(
  "M02: NATS is killed three times while 20,000 messages are published: none that is confirmed is lost",
  { skip, timeout: 100_000 },
  async (t) => {
    const server = await ownServer(t);
    const own = { ...quick, url: server.url };
    const [sender, reader] = [await shared.broker(own), await shared.broker(own)];
    const came = new Set<string>();
    const last = new Map<string, number>();
    let outOfOrder = 0;
    await reader.subscribe(specOf("killed", "g", { ordering: "key", prefetch: 500 }), (delivery) => {
      const text = textOf(delivery);
      const [key = "", number] = text.split(" ");
      if (!came.has(text) && Number(number) < (last.get(key) ?? 0)) outOfOrder++;
      came.add(text);
      last.set(key, Math.max(last.get(key) ?? 0, Number(number)));
      delivery.settle();
    });
    const confirmed: string[] = [];
    let begun = 0;
    const workers = Array.from({ length: 20 }, async (_, worker) => {
      for (let at = 0; at < 1_000; at += 50) {
        const texts = Array.from({ length: 50 }, (_unused, i) => `k${worker} ${at + i}`);
        begun += texts.length;
        const messages = texts.map((text) => messageTo("killed", text, { key: `k${worker}` }));
        const outcomes = await sender.publish(messages, { signal: AbortSignal.timeout(60_000) });
        outcomes.forEach((outcome, i) => {
          if (!(outcome instanceof ConnectError)) confirmed.push(texts[i] ?? "");
        });
      }
    });
    for (let kill = 1; kill <= 3; kill++) {
      await soon(() => begun > 5_000 * kill, 30_000);
      await server.kill();
      await server.restart();
    }
    await Promise.all(workers);
    assert.equal(confirmed.length, 20_000);
    await soon(() => confirmed.every((text) => came.has(text)), 30_000);
    assert.equal(outOfOrder, 0);
  },
);

test(
  "M15: unsettled deliveries of a lost connection come again, and no other is settled",
  { skip },
  async (t) => {
    const server = await ownServer(t);
    const broker = await shared.broker({ ...quick, url: server.url });
    const reading = await Reading.start(broker, specOf("cut", "g", { prefetch: 64 }));
    await publish(broker, ...Array.from({ length: 200 }, (_, i) => messageTo("cut", String(i))));
    await reading.until(64, inTime);
    const before = reading.deliveries.slice();
    await server.kill();
    await soon(() => before.every(({ lost }) => lost.aborted));
    for (const delivery of before) delivery.settle();
    await server.restart();
    await reading.until(128, inTime);
    await sleep(200);
    assert.equal(reading.deliveries.length, 128);
    const again = reading.deliveries.slice(64);
    assert.deepEqual(again.map(textOf).toSorted(), before.map(textOf).toSorted());
    assert.ok(again.every(({ redelivered }) => redelivered));
    for (const delivery of again) delivery.settle();
    await reading.until(192, inTime);
  },
);

test("27 a pause outlives the connection", { skip }, async (t) => {
  const server = await ownServer(t);
  const broker = await shared.broker({ ...quick, url: server.url });
  const reading = await Reading.start(broker, specOf("paused", "g"), true);
  reading.subscription.pause();
  await server.kill();
  await soon(() => !reading.subscription.connected);
  await server.restart();
  await publish(broker, messageTo("paused", "x"));
  await soon(() => reading.subscription.connected);
  await sleep(200);
  assert.equal(reading.deliveries.length, 0);
  assert.equal((await reading.subscription.lag()).get(-1), 1);
  reading.subscription.resume();
  await reading.until(1, inTime);
});

test("M17: a stream and a consumer are deleted: published and read again within 5 s", { skip }, async (t) => {
  const topic = newTopic();
  const broker = await shared.broker();
  const reading = await Reading.start(broker, specOf(topic, "g"), true);
  await publish(broker, messageTo(topic, "1"));
  await reading.until(1, inTime);
  const { manager } = await lineTo(t, shared.server.url);
  await manager.streams.delete(topic);
  await publish(broker, messageTo(topic, "2"));
  await reading.until(2, 5_000);
  await manager.consumers.delete(topic, "g");
  await publish(broker, messageTo(topic, "3"));
  await soon(() => reading.texts.includes("3"), 5_000);
});

test(
  "M24: a silent NATS: UNAVAILABLE by the deadline, and it goes on when NATS does",
  { skip },
  async (t) => {
    const server = await ownServer(t);
    const broker = await shared.broker({ ...quick, url: server.url });
    const reading = await Reading.start(broker, specOf("silent", "g"), true);
    await publish(broker, messageTo("silent", "1"));
    server.freeze();
    await sleep(50);
    const startedMs = performance.now();
    const error = await refusalOf(broker, messageTo("silent", "2"), AbortSignal.timeout(700));
    assert.ok(performance.now() - startedMs < 1_500);
    assert.equal(error.code, Code.Unavailable);
    assert.match(error.rawMessage, /^sent and not confirmed: it may be stored; publish again with id /);
    server.thaw();
    await publish(broker, messageTo("silent", "3"));
    await soon(() => reading.texts.includes("3"), inTime);
  },
);

test("17 the lost connection of a caller ends its open calls", { skip }, async (t) => {
  const server = await ownServer(t);
  const broker = await shared.broker({ ...quick, url: server.url });
  const reading = await Reading.start(broker, specOf("called", "called"));
  const called = broker.call?.(messageTo("called", "x", { mandatory: true }), {
    signal: AbortSignal.timeout(inTime),
  });
  assert.ok(called !== undefined);
  const failed = failure(called, Code.Unavailable);
  await reading.next(inTime);
  await server.kill();
  assert.match((await failed).rawMessage, /its outcome is unknown/);
});

test("41 a NATS that is not there is no reason to end: it is tried again", { skip }, async () => {
  const broker = await shared.broker({ url: `nats://127.0.0.1:${await freePort()}` });
  assert.equal(broker.state, "listen");
  await assert.rejects(broker.check(), (error) => error instanceof ConnectError);
});
