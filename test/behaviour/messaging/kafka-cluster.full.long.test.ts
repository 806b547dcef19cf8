/** A cluster of three Kafkas, in which topics have three replicas, each in a rack of its own. */
import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { after, before, suite, test, type TestContext } from "node:test";
import { Connection, fetchV13, metadataV12 } from "@platformatic/kafka";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { Broker, BrokerSubscription } from "../../../src/messaging/broker.ts";
import { kafka } from "../../../src/messaging/kafka/kafka.ts";
import type { KafkaOptions } from "../../../src/messaging/kafka/kafka-options.ts";
import {
  messageTo,
  newTopic,
  publish,
  Reading,
  refusalOf,
  specOf,
  textOf,
} from "../../support/brokers/readings.ts";
import { KafkaServer, withoutKafka as skip } from "../../support/kafka-server.ts";
import { soon } from "./kafka-fixture.ts";

const count = 3;
const total = 9_000;
/** Of readers, in milliseconds: the shortest that Kafka allows. */
const sessionMs = 6_000;

suite("a cluster of Kafka:", { skip }, () => {
  let servers: readonly KafkaServer[] = [];

  before(
    async () => {
      servers = await KafkaServer.startCluster(count, (id) => ({
        "min.insync.replicas": "2",
        "broker.rack": `rack-${id}`,
        "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        "replica.fetch.wait.max.ms": "100",
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "4000",
      }));
    },
    { timeout: 120_000 },
  );
  after(() => Promise.all(servers.map((server) => server.stop())));

  async function brokerOf(t: TestContext, options: Partial<KafkaOptions> = {}): Promise<Broker> {
    const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join();
    const reconnect = { initialMs: 100, maxMs: 1_000 };
    const broker = await kafka({ url: `kafka://${hosts}`, replicas: count, reconnect, ...options });
    t.after(() => broker.gracefulStop({ graceMs: 0 }));
    return broker;
  }

  test("topics are made with so many replicas; more than there are brokers are refused", async (t) => {
    const broker = await brokerOf(t);
    const topic = newTopic();
    await publish(broker, messageTo(topic, "x"));
    const replicas = await replicasOf(topic);
    assert.deepEqual(
      replicas.map((of) => of.length),
      [3, 3, 3, 3, 3, 3],
    );
    const many = await brokerOf(t, { replicas: count + 1 });
    const { code, rawMessage } = await refusalOf(many, messageTo(newTopic(), "x"));
    assert.equal(code, Code.FailedPrecondition);
    assert.match(rawMessage, /cannot be made: .*replication factor.*4/i);
  });

  test("`rack`: what is read comes from the replica in the same rack, whoever leads its partition", async (t) => {
    const asked = new Map<number, number>();
    const api = tracingChannel("plt:kafka:connections:api");
    const subscriber = {
      start(context: object): void {
        const { apiKey, connection } = context as {
          readonly apiKey: number;
          readonly connection: Connection;
        }; // As the client publishes them.
        const { port = 0 } = connection;
        if (apiKey === fetchV13.api.key) asked.set(port, (asked.get(port) ?? 0) + 1);
      },
    };
    api.subscribe(subscriber);
    t.after(() => api.unsubscribe(subscriber));
    const topic = newTopic();
    const reader = await brokerOf(t, { rack: "rack-3" });
    const reading = await Reading.start(reader, specOf(topic, "g"), true);
    const sender = await brokerOf(t);
    const publishSome = (from: number): Promise<unknown> =>
      publish(sender, ...Array.from({ length: 300 }, (_, i) => messageTo(topic, `${from + i}`)));
    await publishSome(0);
    await reading.until(300, 20_000);
    // From now on each partition is read at the replica of the rack.
    asked.clear();
    await publishSome(300);
    await reading.until(600, 20_000);
    const port = servers[2]?.port ?? 0;
    assert.ok((asked.get(port) ?? 0) > 0);
    const topicFetches = [...asked].filter(([of]) => of !== port);
    assert.deepEqual(topicFetches, []);
    assert.equal(new Set(reading.texts).size, 600);
    await reading.subscription.stop();
  });

  test(
    "M02: a broker that leads is killed while messages are published: none that is confirmed is lost, and reading goes on within 10 s",
    { timeout: 120_000 },
    async (t) => {
      const topic = newTopic();
      const [sender, reader] = [await brokerOf(t), await brokerOf(t)];
      const came = new Map<string, number>();
      let longestGapMs = 0;
      let lastMs = 0;
      const last = new Map<string, number>();
      let outOfOrder = 0;
      await reader.subscribe(specOf(topic, "g", { ordering: "key", prefetch: 500 }), (delivery) => {
        const text = textOf(delivery.message) ?? "";
        const nowMs = performance.now();
        if (lastMs > 0) longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
        lastMs = nowMs;
        const [key = "", number] = text.split(" ");
        if (!came.has(text) && Number(number) < (last.get(key) ?? 0)) outOfOrder++;
        last.set(key, Math.max(last.get(key) ?? 0, Number(number)));
        came.set(text, delivery.partition ?? -1);
        delivery.settle();
      });
      await publish(sender, messageTo(topic, "first", { key: "first" }));
      await soon(() => came.has("first"), 20_000);
      const leaders = await leadersOf(topic);
      const killed = leaders.find((leader) => leader !== 1) ?? 0; // The first one is the controller.
      const confirmed: string[] = [];
      let begun = 0;
      const workers = Array.from({ length: 30 }, async (_, worker) => {
        for (let at = 0; at < total / 30; at += 10) {
          const texts = Array.from({ length: 10 }, (_unused, i) => `k${worker} ${at + i}`);
          begun += texts.length;
          const messages = texts.map((text) => messageTo(topic, text, { key: `k${worker}` }));
          const outcomes = await sender.publish(messages, { signal: AbortSignal.timeout(60_000) });
          outcomes.forEach((outcome, i) => {
            if (!(outcome instanceof ConnectError)) confirmed.push(texts[i] ?? "");
          });
        }
      });
      await soon(() => begun > total / 3 && came.size > 500, 30_000);
      const killedMs = performance.now();
      await servers[killed - 1]?.kill();
      // A partition that the killed one has led is read again.
      const isBack = (): boolean =>
        [...came].slice(before).some(([, partition]) => leaders[partition] === killed);
      const before = came.size + 500; // What was fetched before the kill does not count.
      await soon(isBack, 30_000);
      const backMs = performance.now() - killedMs;
      await Promise.all(workers);
      t.diagnostic(
        `its partitions were read again ${Math.round(backMs)} ms behind the kill, longest gap ${Math.round(longestGapMs)} ms`,
      );
      assert.ok(backMs < 10_000, `${backMs} ms`);
      assert.equal(confirmed.length, total);
      await soon(() => confirmed.every((text) => came.has(text)), 30_000);
      assert.equal(outOfOrder, 0);
      assert.ok(!(await leadersOf(topic)).includes(killed));
      await servers[killed - 1]?.restart();
    },
  );

  test(
    "M09: a broker that leads is killed while readers come and go, some of whose handlers take longer than a session: none that is confirmed is lost, and what is not handled is not committed",
    { timeout: 120_000 },
    async (t) => {
      const topic = newTopic();
      const sender = await brokerOf(t);
      const handled = new Map<string, number>();
      const readers: BrokerSubscription[] = [];
      const join = async (): Promise<void> => {
        const reader = await brokerOf(t, { sessionTimeoutMs: sessionMs });
        const spec = specOf(topic, "g", { ordering: "key", prefetch: 100 });
        readers.push(
          await reader.subscribe(spec, (delivery) => {
            const text = textOf(delivery.message) ?? "";
            const takesMs = text.endsWith("00") ? sessionMs + 2_000 : 5;
            setTimeout(() => {
              if (delivery.lost.aborted) return; // It runs again, at its next reader.
              handled.set(text, (handled.get(text) ?? 0) + 1);
              delivery.settle();
            }, takesMs);
          }),
        );
      };
      await join();
      await join();
      await publish(sender, messageTo(topic, "first", { key: "first" }));
      await soon(() => handled.has("first"), 20_000);
      const killed = (await leadersOf(topic)).find((leader) => leader !== 1) ?? 0; // The first one is the controller.
      const confirmed: string[] = ["first"];
      const workers = Array.from({ length: 10 }, async (_, worker) => {
        for (let at = 1; at <= 200; at++) {
          const text = `k${worker} ${at}`;
          const message = messageTo(topic, text, { key: `k${worker}` });
          const [outcome] = await sender.publish([message], { signal: AbortSignal.timeout(60_000) });
          if (!(outcome instanceof ConnectError)) confirmed.push(text);
        }
      });
      await soon(() => handled.size > 300, 30_000);
      await servers[killed - 1]?.kill();
      await join();
      await soon(() => handled.size > 800, 40_000);
      await readers.shift()?.stop();
      await Promise.all(workers);
      assert.equal(confirmed.length, 10 * 200 + 1);
      await soon(() => confirmed.every((text) => handled.has(text)), 60_000);
      const twice = [...handled.values()].filter((times) => times > 1).length;
      t.diagnostic(`${twice} of ${confirmed.length} were handled more than once`);
      await Promise.all(readers.map((reader) => reader.stop()));
      await servers[killed - 1]?.restart();
      // What was handled does not come again; what was not does, at each reader.
      await publish(sender, ...Array.from({ length: 20 }, (_, i) => messageTo(topic, `left ${i}`)));
      for (let reader = 0; reader < 2; reader++) {
        const reading = await Reading.start(await brokerOf(t), specOf(topic, "g", { ordering: "key" }));
        await reading.until(20, 30_000);
        assert.deepEqual(
          reading.texts.filter((text) => !text?.startsWith("left ")),
          [],
        );
        const stopped = reading.subscription.stop();
        for (const delivery of [...reading.deliveries]) delivery.release(); // What it gives back comes elsewhere.
        await stopped;
      }
    },
  );

  async function leadersOf(topic: string): Promise<readonly number[]> {
    return (await partitionsOf(topic)).map(({ leaderId }) => leaderId);
  }

  async function replicasOf(topic: string): Promise<readonly (readonly number[])[]> {
    return (await partitionsOf(topic)).map(({ replicaNodes }) => replicaNodes);
  }

  /** As the controller's node says. */
  async function partitionsOf(topic: string) {
    const connection = new Connection("test");
    await connection.connect("127.0.0.1", servers[0]?.port ?? 0);
    try {
      const { topics } = await metadataV12.api.async(connection, [topic], false, false);
      return (topics[0]?.partitions ?? []).toSorted((a, b) => a.partitionIndex - b.partitionIndex);
    } finally {
      await connection.close();
    }
  }
});
