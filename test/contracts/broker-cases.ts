import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import type { Broker, DeadLetter, GroupQueue, IncomingMessage } from "../../src/messaging/broker.ts";
import type { BrokerFixture, BrokerWorld } from "../support/brokers/broker-fixture.ts";
import {
  messageTo,
  newTopic,
  publish,
  Reading,
  refusalOf,
  specOf,
  textOf,
} from "../support/brokers/readings.ts";
import { all, failure } from "../support/failure.ts";

/** What every broker keeps. */
export function brokerCases(fixture: BrokerFixture): void {
  const { deliveryMs, settleMs } = fixture;
  suite(`the broker ${fixture.name}:`, { skip: fixture.missing }, () => {
    let world: BrokerWorld;
    let broker: Broker;
    /** What is stopped after each case, without a wait for what is unsettled. */
    const open: Reading[] = [];

    before(async () => {
      world = await fixture.start();
      broker = await world.connect();
    });
    after(async () => {
      for (const reading of open) for (const delivery of reading.deliveries) delivery.settle();
      await Promise.all(open.map(({ subscription }) => subscription.stop()));
      await broker.gracefulStop({ graceMs: 1_000 });
      await world.stop();
    });

    const read = async (...args: Parameters<typeof Reading.start>): Promise<Reading> => {
      const reading = await Reading.start(...args);
      open.push(reading);
      return reading;
    };
    const to = (topic: string, group: string, queue: GroupQueue) =>
      ({ kind: "queue", topic, group, queue }) as const;

    test("is ready, and answers", async () => {
      assert.equal(broker.state, "ready");
      await broker.check();
    });

    test("11 what is confirmed is delivered, with its id", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail"));
      const message = messageTo(topic, "hello");
      const [published] = await publish(broker, message);
      assert.equal(published?.id, message.event?.id);
      assert.equal(published?.confirmed, true);
      assert.equal(published?.topic, topic);
      const delivery = await reading.next(settleMs);
      assert.equal(textOf(delivery.message), "hello");
      assert.equal(delivery.from, "topic");
      assert.equal(delivery.redelivered, false);
      assert.equal(delivery.lost.aborted, false);
    });

    test("4 attributes, headers, key and content type come as they were sent", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail"));
      const headers = new Map<string, string>();
      headers.set("accept-language", "de").set("x-tenant", "a, b");
      const sent = messageTo(topic, "x", {
        key: "kéy 1",
        headers,
        contentType: "application/json",
        contentEncoding: "gzip",
      });
      const extensions = new Map([["correlationid", "c-1"]]);
      const named = { id: "1", source: "/shop/a%20b", type: "test.v1.Thing", subject: "büch" };
      await publish(broker, { ...sent, event: { ...named, timeMs: 1_700_000_000_123, extensions } });
      const { message } = await reading.next(settleMs);
      assert.equal(message.key, "kéy 1");
      assert.equal(message.contentType, "application/json");
      assert.equal(message.contentEncoding, "gzip");
      const found = textsOf(message);
      assert.equal(found.get("accept-language"), "de");
      assert.equal(found.get("x-tenant"), "a, b");
      assert.equal(found.get("id"), "1");
      assert.equal(found.get("source"), "/shop/a%20b");
      assert.equal(found.get("type"), "test.v1.Thing");
      assert.equal(found.get("specversion"), "1.0");
      assert.equal(found.get("correlationid"), "c-1");
      assert.ok(
        ["büch", encodeURIComponent("büch")].includes(found.get("subject") ?? ""),
        String(found.get("subject")),
      );
    });

    test("6 bodies of 1 MiB and of no bytes come whole", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail", { ordering: "partition" }));
      const large = Buffer.alloc(1024 * 1024 - 1_000, "ä");
      await publish(
        broker,
        messageTo(topic, "", { body: large, key: "a" }),
        messageTo(topic, "", { body: new Uint8Array(), key: "a" }),
      );
      const first = await reading.next(settleMs);
      assert.ok(first.message.body !== undefined && large.equals(first.message.body));
      first.settle();
      const second = await reading.next(deliveryMs);
      assert.equal(second.message.body?.byteLength, 0);
    });

    test("6 a message without a body is a tombstone", { skip: !fixture.hasTombstones }, async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail"));
      await publish(broker, messageTo(topic, "", { body: undefined, key: "a" }));
      assert.equal((await reading.next(settleMs)).message.body, undefined);
    });

    test("13 messages of a key are delivered in the order of the calls, awaited or not", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail", { ordering: "key", prefetch: 300 }), true);
      const calls = Array.from({ length: 200 }, (_, i) =>
        publish(broker, messageTo(topic, `${i % 4} ${i}`, { key: `k${i % 4}` })),
      );
      await Promise.all(calls);
      await reading.until(200, settleMs);
      for (let key = 0; key < 4; key++) {
        const ofKey = reading.texts
          .filter((text) => text?.startsWith(`${key} `))
          .map((text) => Number(text?.slice(2)));
        assert.deepEqual(
          ofKey,
          ofKey.toSorted((a, b) => a - b),
        );
        assert.equal(ofKey.length, 50);
      }
    });

    test("every group gets everything; the readers of one share it", async () => {
      const topic = newTopic();
      const other = await world.connect();
      const mail = [
        await read(broker, specOf(topic, "mail"), true),
        await read(other, specOf(topic, "mail"), true),
      ];
      const search = await read(broker, specOf(topic, "search"), true);
      await sleep(fixture.joinMs); // Partitions are divided again when the second one has joined.
      await publish(broker, ...Array.from({ length: 100 }, (_, i) => messageTo(topic, `${i}`)));
      await search.until(100, settleMs);
      const everything = search.texts.map(String).toSorted(byText);
      await waitFor(() => mail.reduce((sum, { deliveries }) => sum + deliveries.length, 0) >= 100, settleMs);
      assert.deepEqual(mail.flatMap(({ texts }) => texts.map(String)).toSorted(byText), everything);
      assert.ok(
        mail.every(({ deliveries }) => deliveries.length > 0),
        "one reader has got everything",
      );
    });

    test("M03 what is released comes again, marked as redelivered", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail"));
      await publish(broker, messageTo(topic, "again"));
      const first = await reading.next(settleMs);
      first.release();
      const second = await reading.next(settleMs);
      assert.equal(textOf(second.message), "again");
      assert.equal(second.redelivered, true);
      if (broker.capabilities.deliveryCount) assert.equal(second.deliveries, 2);
      first.settle(); // It is another delivery's by now.
      second.settle();
      second.settle();
      await publish(broker, messageTo(topic, "next"));
      assert.equal(textOf((await reading.next(deliveryMs)).message), "next");
    });

    test("what is released keeps its place in the order", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail", { ordering: "key", prefetch: 3 }));
      await publish(broker, ...[0, 1, 2, 3].map((i) => messageTo(topic, `${i}`, { key: "a" })));
      const taken = [
        await reading.next(settleMs),
        await reading.next(settleMs),
        await reading.next(settleMs),
      ];
      for (const delivery of taken.toReversed()) delivery.release();
      const again: (string | undefined)[] = [];
      for (let i = 0; i < 4; i++) {
        const delivery = await reading.next(settleMs);
        again.push(textOf(delivery.message));
        delivery.settle();
      }
      assert.deepEqual(again, ["0", "1", "2", "3"]);
    });

    test("M08 no more than `prefetch` deliveries are unsettled", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail", { prefetch: 3, ordering: "partition" }));
      await publish(broker, ...Array.from({ length: 10 }, (_, i) => messageTo(topic, `${i}`, { key: "a" })));
      await reading.until(3, settleMs);
      await sleep(50);
      assert.equal(reading.deliveries.length, 3);
      for (let i = 0; i < 10; i++) (await reading.next(deliveryMs)).settle();
    });

    test("35 a retry queue gives a message back after its delay, to its group alone", async () => {
      const topic = newTopic();
      const spec = specOf(topic, "mail", { retryDelaysMs: [300, 60_000] });
      const mail = await read(broker, spec);
      const search = await read(broker, specOf(topic, "search"), true);
      const sent = messageTo(topic, "later", { key: "a", headers: new Map([["x-ts-ms-attempt", "1"]]) });
      await publish(broker, sent);
      const first = await mail.next(settleMs);
      const beganMs = performance.now();
      await publish(broker, { ...sent, to: to(topic, "mail", { kind: "retry", delayMs: 300 }) });
      first.settle();
      const second = await mail.next(300 + settleMs);
      assert.ok(performance.now() - beganMs >= 295, `after ${performance.now() - beganMs} ms`);
      assert.equal(second.from, "retry");
      assert.equal(textOf(second.message), "later");
      assert.equal(second.message.key, "a");
      assert.equal(textsOf(second.message).get("x-ts-ms-attempt"), "1");
      assert.equal(textsOf(second.message).get("id"), sent.event?.id);
      second.settle();
      assert.equal(search.deliveries.length, 1);
    });

    test("32 what is given again comes to its group alone, at once", async () => {
      const topic = newTopic();
      const mail = await read(broker, specOf(topic, "mail"));
      const search = await read(broker, specOf(topic, "search"), true);
      await publish(broker, messageTo(topic, "replayed", { to: to(topic, "mail", { kind: "again" }) }));
      const delivery = await mail.next(settleMs);
      assert.equal(delivery.from, "again");
      assert.equal(textOf(delivery.message), "replayed");
      delivery.settle();
      assert.equal(search.deliveries.length, 0);
    });

    test("32 dead letters are listed unchanged, and go when they are taken", async () => {
      const topic = newTopic();
      await read(broker, specOf(topic, "mail"));
      const box = broker.deadLetters(topic, "mail");
      const { signal } = new AbortController();
      assert.equal(await box.count(), 0);
      const headers = new Map([["x-ts-ms-dead-reason", "permanent"]]);
      for (const text of ["0", "1", "2"]) {
        await publish(broker, messageTo(topic, text, { headers, to: to(topic, "mail", { kind: "dead" }) }));
      }
      const texts = (letters: readonly DeadLetter[]) => letters.map(({ message }) => textOf(message));
      for (let times = 0; times < 2; times++) {
        await waitFor(async () => (await box.count()) === 3, settleMs);
        const listed = await all(box.list({ limit: 10, signal }));
        assert.deepEqual(texts(listed), ["0", "1", "2"]);
        assert.equal(new Set(listed.map(({ id }) => id)).size, 3);
        const [first] = listed;
        assert.ok(first !== undefined);
        assert.equal(textsOf(first.message).get("x-ts-ms-dead-reason"), "permanent");
      }
      assert.equal((await all(box.list({ limit: 2, signal }))).length, 2);
      const taken = await box.drain(async ({ message }) => textOf(message) === "1", { limit: 10, signal });
      assert.equal(taken, 1);
      await waitFor(async () => (await box.count()) === 2, settleMs);
      assert.deepEqual(
        texts(await all(box.list({ limit: 10, signal })))
          .map(String)
          .toSorted(byText),
        ["0", "2"],
      );
    });

    test("12 M05 a mandatory message that no queue takes is refused", async () => {
      const topic = newTopic();
      const error = await refusalOf(broker, messageTo(topic, "x", { mandatory: true }));
      assert.equal(error.code, Code.Unavailable);
      assert.match(error.rawMessage, new RegExp(`no queue takes ${topic}`));
      await read(broker, specOf(topic, "mail"), true);
      await publish(broker, messageTo(topic, "x", { mandatory: true }));
    });

    test("14 a publish whose signal has fired is not sent", async () => {
      const topic = newTopic();
      await read(broker, specOf(topic, "mail"));
      const controller = new AbortController();
      controller.abort(new ConnectError("too late", Code.DeadlineExceeded));
      const error = await refusalOf(broker, messageTo(topic, "x"), controller.signal);
      assert.equal(error.code, Code.DeadlineExceeded);
      assert.match(error.rawMessage, /^not sent/);
    });

    test("27 a paused subscription fetches nothing until it is resumed", async () => {
      const topic = newTopic();
      const reading = await read(broker, specOf(topic, "mail"), true);
      reading.subscription.pause();
      await publish(broker, messageTo(topic, "x"));
      await sleep(Math.min(300, deliveryMs));
      assert.equal(reading.deliveries.length, 0);
      assert.equal(sumOf(await reading.subscription.lag()), 1);
      reading.subscription.resume();
      await reading.until(1, settleMs);
      await waitFor(async () => sumOf(await reading.subscription.lag()) === 0, settleMs);
    });

    test("a stopped subscription waits for its deliveries, and the next one begins behind them", async () => {
      const topic = newTopic();
      const spec = specOf(topic, "mail", { prefetch: 2, ordering: "key" });
      const first = await read(broker, spec);
      await publish(broker, ...[0, 1, 2].map((i) => messageTo(topic, `${i}`, { key: "a" })));
      const [zero, one] = [await first.next(settleMs), await first.next(settleMs)];
      let hasStopped = false;
      const stopped = first.subscription.stop().then(() => (hasStopped = true));
      const second = await read(await world.connect(), spec);
      await sleep(20);
      assert.equal(hasStopped, false);
      one?.release();
      zero?.settle();
      await stopped;
      assert.equal(first.deliveries.length, 2);
      const left = [await second.next(settleMs), await second.next(settleMs)];
      assert.deepEqual(
        left.map(({ message }) => textOf(message)),
        ["1", "2"],
      );
      for (const delivery of left) delivery.settle();
    });

    test("from `new`, and broadcast: a group of each process", async () => {
      const topic = newTopic();
      const own = { broadcast: true, from: "new" } as const;
      const one = await read(broker, specOf(topic, "news.1", own), true);
      const two = await read(broker, specOf(topic, "news.2", own), true);
      await publish(broker, messageTo(topic, "x"));
      await one.until(1, settleMs);
      await two.until(1, settleMs);
    });

    test("17 a call gets its reply", async () => {
      const topic = newTopic();
      if (broker.call === undefined) {
        assert.equal(broker.capabilities.replies, false);
        return;
      }
      const reading = await read(broker, specOf(topic, topic));
      const signal = AbortSignal.timeout(settleMs);
      const called = broker.call(messageTo(topic, "ping", { mandatory: true }), { signal });
      const delivery = await reading.next(settleMs);
      assert.ok(delivery.reply !== undefined);
      const { event, contentType, contentEncoding } = messageTo(topic, "");
      const headers = new Map([["grpc-status", "0"]]);
      await delivery.reply({ event, contentType, contentEncoding, headers, body: Buffer.from("pong") });
      delivery.settle();
      const reply = await called;
      assert.equal(textOf(reply), "pong");
      assert.equal(textsOf(reply).get("grpc-status"), "0");
      const unheard = broker.call(messageTo(newTopic(), "ping", { mandatory: true }), { signal });
      await failure(unheard, Code.Unavailable);
    });
  });
}

/** Headers that are texts, and attributes without the prefix that the broker gives them. */
function textsOf({ headers }: IncomingMessage): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of headers) {
    const text = value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
    found.set(name.toLowerCase().replace(/^(?:ce[_-]|cloudevents[_:])/, ""), text);
  }
  return found;
}

function sumOf(lag: ReadonlyMap<number, number>): number {
  return [...lag.values()].reduce((sum, count) => sum + count, 0);
}

function byText(a: string, b: string): number {
  return a.localeCompare(b);
}

/** Resolves when something holds. @param withinMs fails after this time */
async function waitFor(holds: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    assert.ok(performance.now() < untilMs, `not within ${withinMs} ms`);
    await sleep(10);
  }
}
