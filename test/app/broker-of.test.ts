/** The options of a broker that a configuration says. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ConfigPlan } from "../../src/app/config-plan.ts";
import { brokerOptions } from "../../src/app/sections/broker-of.ts";
import type { ConfigInit } from "../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import type { OpenBrokerOptions } from "../../src/messaging/brokers.ts";
import { kafkaDefaults, toKafkaOptions } from "../../src/messaging/kafka/kafka-options.ts";
import { natsBrokerDefaults, toNatsBrokerOptions } from "../../src/messaging/nats/nats-options.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** Options that are no keys of the group: those of all brokers, what is of code, and one that has a single value. */
const others = ["url", "prefix", "tls", "name", "reconnect", "logger", "groupProtocol"];

suite("the group kafka of messaging.broker", () => {
  test("says every option that a file can say", async () => {
    const kafka = await kafkaOf(`kafka:
      sasl: { mechanism: SCRAM-SHA-512, username: shop, password: geheim }
      client_id: shop
      rack: eu-1a
      partitions: 12
      replicas: 3
      compression: zstd
      max_batch_bytes: 2MiB
      session_timeout: 30s
      rebalance_timeout: 2m
      instance_id: shop-1
      commit_interval: 250ms
      max_ahead: 200
      declare: false
`);
    assert.deepEqual(kafka, {
      sasl: { mechanism: "SCRAM-SHA-512", username: "shop", password: "geheim" },
      clientId: "shop",
      rack: "eu-1a",
      partitions: 12,
      replicas: 3,
      compression: "zstd",
      maxBatchBytes: 2 * 1024 * 1024,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 120_000,
      instanceId: "shop-1",
      commitIntervalMs: 250,
      maxAhead: 200,
      declare: false,
    });
    const options = Object.keys(kafkaDefaults).filter((name) => !others.includes(name));
    assert.deepEqual(Object.keys(kafka ?? {}).toSorted(), options.toSorted());
  });

  test("takes a token of OAUTHBEARER", async () => {
    const kafka = await kafkaOf("kafka: { sasl: { mechanism: OAUTHBEARER, token: abc } }\n");
    assert.deepEqual(kafka?.sasl, { mechanism: "OAUTHBEARER", token: "abc" });
  });

  test("has the defaults of the library where it says nothing", async () => {
    const kafka = await kafkaOf("");
    assert.deepEqual(toKafkaOptions({ ...kafka }), toKafkaOptions({}));
  });

  test("never shows what a program proves itself with", async () => {
    const secrets = "kafka: { sasl: { mechanism: PLAIN, username: u, password: geheim, token: t0ken } }\n";
    const { request } = await load(secrets, ["--print-config"]);
    const text = request.kind === "print" ? request.text : assert.fail();
    assert.match(text, /username: u/);
    assert.doesNotMatch(text, /geheim|t0ken/);
  });

  type Group = NonNullable<NonNullable<NonNullable<ConfigInit["messaging"]>["broker"]>["kafka"]>;
  const rows: readonly (readonly [name: string, kafka: Group, message: RegExp])[] = [
    [
      "compression",
      { compression: "lzma" },
      /messaging\.broker\.kafka\.compression: expected none, gzip, lz4/,
    ],
    [
      "a mechanism",
      { sasl: { mechanism: "GSSAPI" } },
      /messaging\.broker\.kafka\.sasl\.mechanism: expected PLAIN, SCRAM/,
    ],
    ["no mechanism", { sasl: { username: "a" } }, /messaging\.broker\.kafka\.sasl\.mechanism/],
    ["a time", { rebalanceTimeout: 10_000 }, /messaging\.broker: .*rebalanceTimeoutMs must be 20000 to/],
    ["partitions", { partitions: 0 }, /messaging\.broker\.kafka\.partitions: expected a whole number from 1/],
  ];
  for (const [name, kafka, message] of rows) {
    const overrides: ConfigInit = { messaging: { broker: { url: "kafka://a:1,b:2", kafka } } };
    const open = async (): Promise<unknown> =>
      ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides }), {});
    test(`a mistake names its place: ${name}`, () => assert.rejects(open, message));
  }
});

suite("the group nats of messaging.broker", () => {
  const url = "nats://a:4222,b:4222";

  test("says every option that a file can say", async () => {
    const broker = await brokerIn(
      `nats:
      credentials: /run/secrets/shop.creds
      replicas: 3
      ack_wait: 1m
      duplicate_window: 5m
      max_age: 24h
      single_reader: true
      declare: false
`,
      url,
    );
    const { nats } = brokerOptions(broker);
    assert.deepEqual(nats, {
      credentials: "/run/secrets/shop.creds",
      replicas: 3,
      ackWaitMs: 60_000,
      duplicateWindowMs: 300_000,
      maxAgeMs: 86_400_000,
      singleReader: true,
      declare: false,
    });
    const options = Object.keys(natsBrokerDefaults).filter((name) => !others.includes(name));
    assert.deepEqual(Object.keys(nats ?? {}).toSorted(), options.toSorted());
  });

  test("has the defaults of the library where it says nothing", async () => {
    const { nats } = brokerOptions(await brokerIn("", url));
    assert.deepEqual(toNatsBrokerOptions({ ...nats }), toNatsBrokerOptions({}));
  });

  test("a mistake names its place", async () => {
    const overrides: ConfigInit = { messaging: { broker: { url, nats: { replicas: 6 } } } };
    await assert.rejects(
      loadConfig({ argv: [], env: {}, overrides }),
      /messaging\.broker\.nats\.replicas: expected a whole number from 1 to 5/,
    );
  });
});

async function kafkaOf(lines: string): Promise<OpenBrokerOptions["kafka"]> {
  return brokerOptions(await brokerIn(lines)).kafka;
}

async function brokerIn(lines: string, url?: string): Promise<Parameters<typeof brokerOptions>[0]> {
  return (await load(lines, [], url)).config.messaging?.broker ?? assert.fail("no broker");
}

async function load(
  lines: string,
  argv: readonly string[] = [],
  url = "kafka://a:9092,b:9092",
): ReturnType<typeof loadConfig> {
  await using files = await TemporaryFiles.create();
  const yaml = `messaging:\n  broker:\n    url: ${url}\n    ${lines}`;
  const file = await files.write("config.yaml", yaml);
  return await loadConfig({ argv: ["--config", file, ...argv], env: {} });
}
