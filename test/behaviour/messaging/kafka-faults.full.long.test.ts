import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import type { Broker, Delivery } from "../../../src/messaging/broker.ts";
import { messageTo, newTopic, publish, specOf, textOf } from "../../support/brokers/readings.ts";
import { blockText, type HandledRun } from "../../support/kafka-reader.ts";
import { withoutKafka as skip } from "../../support/kafka-server.ts";
import { kafkaFixture, type ReaderProcess, soon } from "./kafka-fixture.ts";

const world = kafkaFixture();
const quick = { reconnect: { initialMs: 100, maxMs: 1_000 } };

suite("Kafka, faults:", { skip }, () => {
  test(
    "M02: Kafka is killed three times while 30,000 messages are published: none that is confirmed is lost",
    { timeout: 280_000 },
    async () => {
      const [sender, reader] = [await world.broker(quick), await world.broker(quick)];
      const came = new Map<string, number>();
      const last = new Map<string, number>();
      let outOfOrder = 0;
      const receive = (delivery: Delivery): void => {
        const text = textOf(delivery.message) ?? "";
        came.set(text, (came.get(text) ?? 0) + 1);
        const [key = "", number] = text.split(" ");
        if (came.get(text) === 1 && Number(number) < (last.get(key) ?? 0)) outOfOrder++;
        last.set(key, Math.max(last.get(key) ?? 0, Number(number)));
        delivery.settle();
      };
      const spec = specOf("killed", "g", { ordering: "key", prefetch: 500 });
      const subscription = await reader.subscribe(spec, receive);
      const { confirmed, done, sent } = publishing(sender, 30_000);
      for (let kill = 1; kill <= 3; kill++) {
        await soon(() => sent() > 7_500 * kill, 60_000);
        await world.server.kill();
        await world.server.restart();
      }
      await done;
      assert.ok(confirmed.length > 27_000, `${confirmed.length} are confirmed`);
      await soon(() => confirmed.every((text) => came.has(text)), 60_000);
      assert.equal(outOfOrder, 0);
      await subscription.stop();
    },
  );

  test(
    "M18: one of 6 partitions has handlers of 10 s: the others keep 95 % of their rate",
    { timeout: 120_000 },
    async () => {
      const broker = await world.broker();
      const [alone, beside] = [await rateOf(broker, undefined), await rateOf(broker, 0)];
      assert.ok(beside > alone * 0.95, `${beside} messages a second in place of ${alone}`);
    },
  );

  test(
    "M19: a group grows from 1 to 4 and shrinks by kill -9, 100,000 messages: none is lost, none overtakes",
    { timeout: 280_000 },
    async () => {
      const topic = newTopic();
      const names = {
        topic,
        group: "g",
        options: { url: world.server.url, partitions: 8, sessionTimeoutMs: 6_000 },
      };
      const sender = await world.broker({ partitions: 8 });
      const readers = [await world.reader(names)];
      const total = 100_000;
      const publishes = (async () => {
        for (let at = 0; at < total; at += 500) {
          const messages = Array.from({ length: 500 }, (_, i) =>
            messageTo(topic, `${at + i}`, { key: `k${(at + i) % 1_000}` }),
          );
          await publish(sender, ...messages);
          await sleep(50);
        }
      })();
      const runs = (): HandledRun[] => readers.flatMap((reader) => reader.runs);
      for (let count = 2; count <= 4; count++) {
        await soon(() => runs().length > (total / 10) * count, 120_000);
        readers.push(await world.reader(names));
      }
      for (const at of [0.5, 0.6, 0.7]) {
        await soon(() => runs().length > total * at, 120_000);
        await readers[Math.round((at - 0.5) * 10)]?.kill();
      }
      await publishes;
      await soon(() => new Set(runs().map(({ text }) => text)).size === total, 120_000);
      assert.ok(readers.every((reader) => reader.runs.length > 0));
      assert.deepEqual(overtakings(readers), []);
      for (const reader of readers) if (!reader.isKilled) await reader.stop();
    },
  );

  test(
    "M28: a handler blocks the event loop for longer than the session: others take over, nothing is settled by the late one",
    { timeout: 120_000 },
    async () => {
      const topic = newTopic();
      const options = { url: world.server.url, sessionTimeoutMs: 6_000, partitions: 2 };
      const names = { topic, group: "g", options };
      const sender = await world.broker({ partitions: 2 });
      const first = await world.reader({ ...names, blocks: true });
      await publish(sender, messageTo(topic, "warm", { key: "a" }));
      await soon(() => first.runs.length === 1);
      await publish(sender, messageTo(topic, `${blockText}12000`, { key: "a" }));
      for (let i = 0; i < 20; i++) await publish(sender, messageTo(topic, `${i}`, { key: `k${i}` }));
      const second = await world.reader(names);
      await soon(() => second.runs.some(({ text }) => text.startsWith(blockText)), 60_000);
      const all = (): Set<string> => new Set([...first.runs, ...second.runs].map(({ text }) => text));
      await soon(() => all().size === 22, 60_000);
      // The late one has joined again, and reads what comes.
      const before = first.runs.length;
      await soon(async () => {
        await publish(sender, messageTo(topic, "more", { key: `m${Math.random()}` }));
        return first.runs.length > before && first.runs.at(-1)?.text === "more";
      }, 30_000);
      // What the late one settled counted for no one: the other has run it too, and has committed it.
      for (const reader of [first, second]) await reader.stop();
      const third = await world.reader(names);
      await sleep(3_000);
      assert.deepEqual(third.runs, []);
    },
  );
});

/** Publishes in order for each of 40 keys. */
function publishing(sender: Broker, total: number) {
  const confirmed: string[] = [];
  let sent = 0;
  const workers = Array.from({ length: 40 }, async (_, worker) => {
    for (let at = worker; at < total; at += 40 * 25) {
      const texts = Array.from({ length: 25 }, (_unused, i) => at + i * 40)
        .filter((number) => number < total)
        .map((number) => `k${worker} ${number}`);
      sent += texts.length;
      const messages = texts.map((text) => messageTo("killed", text, { key: `k${worker}` }));
      const outcomes = await sender.publish(messages, { signal: AbortSignal.timeout(60_000) });
      outcomes.forEach((outcome, i) => {
        if (!(outcome instanceof ConnectError)) confirmed.push(texts[i] ?? "");
      });
    }
  });
  return { confirmed, done: Promise.all(workers), sent: () => sent };
}

/** How many messages a second five partitions make whose handlers take 50 ms. @param slow a partition whose messages take 10 s */
async function rateOf(broker: Broker, slow: number | undefined): Promise<number> {
  const topic = newTopic();
  for (let published = 0; published < 36_000; published += 1_000) {
    await publish(broker, ...Array.from({ length: 1_000 }, (_, i) => messageTo(topic, `${published + i}`)));
  }
  let others = 0;
  let open = 0;
  let most = 0;
  let beganMs = 0;
  const receive = (delivery: Delivery): void => {
    beganMs ||= performance.now();
    const isSlow = delivery.partition === slow;
    if (delivery.partition !== 0) others++;
    if (isSlow) most = Math.max(most, ++open);
    const end = (): void => {
      if (isSlow) open--;
      delivery.settle();
    };
    setTimeout(end, isSlow ? 10_000 : 50);
  };
  const subscription = await broker.subscribe(specOf(topic, "g", { ordering: "partition" }), receive);
  await soon(() => others === 30_000, 60_000);
  const rate = others / ((performance.now() - beganMs) / 1_000);
  assert.ok(most <= 64, `${most} were unsettled`);
  void subscription.stop();
  return rate;
}

/** Messages of a key that ran before an earlier one had ended, but for those that a killed process has left. */
function overtakings(readers: readonly ReaderProcess[]): string[] {
  const found: string[] = [];
  const runs = readers.flatMap((reader) => reader.runs.map((run) => ({ ...run, reader })));
  for (const [key, of] of Map.groupBy(runs, (run) => run.key)) {
    const sorted = of.toSorted((a, b) => a.beganMs - b.beganMs);
    let seen = -1;
    for (const [at, run] of sorted.entries()) {
      const before = sorted[at - 1];
      if (before !== undefined && before.endedMs > run.beganMs && !before.reader.isKilled) {
        found.push(`${key}: ${run.text} began before ${before.text} had ended`);
      }
      const number = Number(run.text);
      if (number > seen + 1_000 && seen >= 0) found.push(`${key}: ${run.text} ran before ${seen + 1_000}`);
      seen = Math.max(seen, number);
    }
  }
  return found;
}
