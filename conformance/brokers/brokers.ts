import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Broker, Delivery, OutgoingMessage, SubscriptionSpec } from "../../src/messaging/broker.ts";
import { eventOf } from "../../src/messaging/cloud-event.ts";
import { kafka } from "../../src/entries/kafka.ts";
import { rabbitmq } from "../../src/entries/rabbitmq.ts";
import { KafkaServer, withoutKafka } from "../../test/support/kafka-server.ts";
import { RabbitMqServer, withoutRabbitMq } from "../../test/support/rabbitmq-server.ts";
import { messageTo, publish, specOf } from "../../test/support/brokers/readings.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";
import { Missing } from "../tools.ts";
import { hasKcat, withKcat } from "./kafka.ts";

const run = promisify(execFile);
const peer = join(import.meta.dirname, "rabbitmq_peer.py");
const time = "2026-01-02T03:04:05";

/** What the reader in Python prints of a message. */
interface Read {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly id: string;
  readonly type: string;
  readonly timestamp: string;
  readonly mode: number;
  readonly body: string;
}

/** Messages over RabbitMQ, with aio-pika and the SDK of CloudEvents at the other end, and over Kafka, with kcat there. */
export const brokers: Suite = {
  name: "brokers",
  async run() {
    if (withoutRabbitMq !== false) throw new Missing(withoutRabbitMq);
    if (withoutKafka !== false) throw new Missing(withoutKafka);
    if (!(await hasKcat())) throw new Missing("kcat is not installed: apt-get install kcat");
    const env = await pythonPackages("aio-pika==10.2.1", "cloudevents==2.2.0");
    const checks = new Checks();
    const server = await RabbitMqServer.start();
    const broker = await rabbitmq({ url: server.url, name: "shop" });
    const python = async (...words: readonly string[]) =>
      (await run("python3", [peer, server.url, ...words], { env, timeout: 60_000 })).stdout
        .trimEnd()
        .split("\n");
    try {
      await checks.check("rabbitmq: a reader in Python gets events", () => read(broker, server.url, env));
      await checks.check("rabbitmq: a reader in Python takes a group's messages", () =>
        drained(broker, python),
      );
      await checks.check("rabbitmq: events of a sender in Python come in each form", () =>
        sent(broker, python),
      );
      await checks.check("rabbitmq: a call of Python is answered", () => called(broker, python));
    } finally {
      await broker.gracefulStop({ graceMs: 0 });
      await server.stop();
    }
    await overKafka(checks);
    return checks.result;
  },
};

async function overKafka(checks: Checks): Promise<void> {
  const server = await KafkaServer.start();
  const broker = await kafka({ url: server.url });
  try {
    await withKcat(checks, broker, `127.0.0.1:${server.port}`);
  } finally {
    await broker.gracefulStop({ graceMs: 0 });
    await server.stop();
  }
}

type Python = (...words: readonly string[]) => Promise<string[]>;

/** An event with everything that an event can have. */
function placed(topic: string): OutgoingMessage {
  const event = {
    id: "7",
    source: "/shop",
    type: "shop.v1.Placed",
    subject: "büch",
    timeMs: Date.parse(`${time}.678Z`),
    extensions: new Map([["correlationid", "c"]]),
  };
  return messageTo(topic, "\u0000body", { key: "k 1", event });
}

function reading(topic: string, more: Partial<SubscriptionSpec> = {}): SubscriptionSpec {
  return specOf(topic, "mail", { types: ["shop.v1.Placed"], ...more });
}

function expectPlaced(line: string | undefined): void {
  const { attributes, ...rest } = JSON.parse(line ?? "") as Read;
  assert.deepEqual(attributes, {
    specversion: "1.0",
    id: "7",
    source: "/shop",
    type: "shop.v1.Placed",
    subject: "büch",
    time: `${time}.678000+00:00`,
    correlationid: "c",
    partitionkey: "k 1",
    datacontenttype: "application/protobuf",
  });
  assert.deepEqual(rest, {
    id: "7",
    type: "shop.v1.Placed",
    timestamp: `${time}+00:00`,
    mode: 2,
    body: "00626f6479",
  });
}

async function read(broker: Broker, url: string, env: NodeJS.ProcessEnv): Promise<void> {
  await publish(broker, placed("read")); // Makes the exchange.
  const reader = spawn("python3", [peer, url, "read", "read", "*.shop.v1.Placed", "1"], { env });
  const ended = once(reader, "exit");
  const lines = createInterface(reader.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  assert.equal(await next(), "ready");
  await publish(broker, placed("read"));
  expectPlaced(await next());
  await ended;
}

async function drained(broker: Broker, python: Python): Promise<void> {
  const subscription = await broker.subscribe(reading("drained"), () => {});
  await subscription.stop();
  await publish(broker, placed("drained"));
  const [line] = await python("drain", "drained.mail", "1");
  expectPlaced(line);
}

/** Reads with a subscription of its own while something is done. */
async function whileReading(
  broker: Broker,
  spec: SubscriptionSpec,
  take: (delivery: Delivery) => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  const taken: Promise<void>[] = [];
  const subscription = await broker.subscribe(spec, (delivery) => {
    taken.push(take(delivery).finally(() => delivery.settle()));
  });
  try {
    await work();
  } finally {
    await subscription.stop();
  }
  await Promise.all(taken);
}

async function sent(broker: Broker, python: Python): Promise<void> {
  const events: unknown[] = [];
  const take = async (delivery: Delivery): Promise<void> => {
    const found = eventOf(delivery.message);
    assert.equal(found.kind, "event");
    if (found.kind !== "event") return;
    const { timeMs, extensions, ...attributes } = found.event;
    const body = JSON.parse(Buffer.from(found.data.body ?? []).toString()) as unknown;
    events.push({ ...attributes, timeMs, extensions: Object.fromEntries(extensions), body });
  };
  await whileReading(broker, reading("sent"), take, async () => {
    await python("send", "sent", "s00.shop.v1.Placed");
    const untilMs = performance.now() + 10_000;
    while (events.length < 4 && performance.now() < untilMs)
      await new Promise((resolve) => setImmediate(resolve));
  });
  const expected = {
    id: "sdk",
    source: "/python",
    type: "shop.v1.Placed",
    subject: undefined,
    timeMs: Date.parse(`${time}Z`),
    extensions: { partitionkey: "k 1", count: "7", flag: "true" },
    body: { orderId: "7" },
  };
  const texts = { ...expected, extensions: { ...expected.extensions, flag: "True" } }; // As Python writes it.
  assert.deepEqual(events, [texts, expected, expected, expected]);
}

async function called(broker: Broker, python: Python): Promise<void> {
  const take = async (delivery: Delivery): Promise<void> => {
    const body = Buffer.from(`pong to ${Buffer.from(delivery.message.body ?? []).toString()}`);
    const plain = {
      event: undefined,
      headers: new Map(),
      contentType: "text/plain",
      contentEncoding: undefined,
    };
    await delivery.reply?.({ ...plain, body });
  };
  await whileReading(broker, reading("called"), take, async () => {
    const [line] = await python("call", "called", "s00.shop.v1.Placed");
    assert.deepEqual(JSON.parse(line ?? ""), ["pong to ping", "c 1"]);
  });
}
