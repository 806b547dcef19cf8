/** A cluster of three NATS, whose streams have three replicas. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { inspect } from "node:util";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { NatsLine } from "../../../src/core/nats/nats-line.ts";
import { NatsLink } from "../../../src/core/nats/nats-link.ts";
import type { StreamFound } from "../../../src/core/nats/streams.ts";
import { systemClock } from "../../../src/core/time/clock.ts";
import { nats } from "../../../src/messaging/nats/nats.ts";
import { messageTo, newTopic, publish, refusalOf, specOf } from "../../support/brokers/readings.ts";
import { NatsCluster, NatsServer, withoutNats as skip } from "../../support/nats-server.ts";
import { soon, textOf } from "./rabbitmq-fixture.ts";

const total = 6_000;
const reconnect = { initialMs: 100, maxMs: 1_000 };

suite("a cluster of NATS:", { skip }, () => {
  test(
    "M02: the leader of a stream is killed while messages are published: none that is confirmed is lost, and reading goes on",
    { timeout: 110_000 },
    async (t) => {
      const cluster = await NatsCluster.start(3);
      t.after(() => cluster.stop());
      const topic = newTopic();
      const options = { url: cluster.url, replicas: 3, reconnect };
      const [sender, reader] = [await nats(options), await nats(options)];
      t.after(() => Promise.all([sender, reader].map((broker) => broker.gracefulStop({ graceMs: 0 }))));
      const came = new Set<string>();
      let lastCameMs = 0;
      await reader.subscribe(specOf(topic, "g", { prefetch: 500 }), (delivery) => {
        came.add(textOf(delivery));
        lastCameMs = performance.now();
        delivery.settle();
      });
      // A new cluster takes a moment until it makes streams.
      const [first] = await sender.publish([messageTo(topic, "first")], {
        signal: AbortSignal.timeout(60_000),
      });
      assert.ok(first !== undefined && "confirmed" in first, inspect(first));

      const { config, cluster: of } = await streamOf(cluster, topic);
      assert.equal(config.num_replicas, 3);
      assert.equal(of?.replicas?.length, 2);
      const confirmed: string[] = [];
      let begun = 0;
      const workers = Array.from({ length: 10 }, async (_, worker) => {
        for (let at = 0; at < total / 10; at += 20) {
          const texts = Array.from({ length: 20 }, (_unused, i) => `k${worker} ${at + i}`);
          begun += texts.length;
          const messages = texts.map((text) => messageTo(topic, text, { key: `k${worker}` }));
          const outcomes = await sender.publish(messages, { signal: AbortSignal.timeout(60_000) });
          outcomes.forEach((outcome, i) => {
            if (!(outcome instanceof ConnectError)) confirmed.push(texts[i] ?? "");
          });
        }
      });
      await soon(() => begun > total / 3 && came.size > 100, 60_000);
      const before = came.size;
      await cluster.server(of?.leader ?? "").kill();
      const killedMs = performance.now();
      await soon(() => came.size > before + 500, 30_000);
      t.diagnostic(`reading went on ${Math.round(performance.now() - killedMs)} ms behind the kill`);
      await Promise.all(workers);
      t.diagnostic(`${confirmed.length} of ${total} were confirmed`);
      assert.equal(confirmed.length, total);
      await soon(() => confirmed.every((text) => came.has(text)), 60_000);
      assert.ok(lastCameMs > killedMs);
    },
  );

  test("one server makes no replicas: that is an error of the setup", async (t) => {
    const server = await NatsServer.start();
    t.after(() => server.stop());
    const broker = await nats({ url: server.url, replicas: 3, reconnect });
    t.after(() => broker.gracefulStop({ graceMs: 0 }));
    const { code, rawMessage } = await refusalOf(broker, messageTo("orders", "x"));
    assert.equal(code, Code.FailedPrecondition);
    assert.match(rawMessage, /the stream orders cannot be made as it is to be: replicas > 1 not supported/);
  });

  test("a server that the URL does not name takes over from the one that it names", async (t) => {
    const cluster = await NatsCluster.start(3);
    t.after(() => cluster.stop());
    const [named] = cluster.servers;
    assert.ok(named !== undefined);
    const broker = await nats({ url: named.url, replicas: 3, reconnect });
    t.after(() => broker.gracefulStop({ graceMs: 0 }));
    const [first] = await broker.publish([messageTo("orders", "1")], { signal: AbortSignal.timeout(60_000) });
    assert.ok(first !== undefined && "confirmed" in first, inspect(first));
    await named.kill();
    await publish(broker, messageTo("orders", "2"));
    assert.equal(broker.connection.reconnects, 1);
  });

  async function streamOf(cluster: NatsCluster, name: string): Promise<StreamFound> {
    const connected = Promise.withResolvers<NatsLine>();
    const owner = { up: async (line: NatsLine) => connected.resolve(line), down: () => {} };
    const link = new NatsLink({ servers: cluster.servers.map(({ url }) => url) }, owner, systemClock);
    await link.start();
    try {
      return await (await connected.promise).manager.streams.info(name);
    } finally {
      link.close();
    }
  }
});
