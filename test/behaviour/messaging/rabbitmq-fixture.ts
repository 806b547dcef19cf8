import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { Broker, Delivery, GroupQueue } from "../../../src/messaging/broker.ts";
import { rabbitmq } from "../../../src/messaging/rabbitmq/rabbitmq.ts";
import type { RabbitMqOptions } from "../../../src/messaging/rabbitmq/rabbitmq-options.ts";
import { RabbitMqServer, withoutRabbitMq } from "../../support/rabbitmq-server.ts";
import { messageTo } from "../../support/brokers/readings.ts";

/** A RabbitMQ for all tests of a file, and brokers of processes that use it. */
export interface RabbitMqFixture {
  readonly server: RabbitMqServer;
  /** A broker of a process of its own, which ends with the file. */
  broker(options?: Partial<RabbitMqOptions>): Promise<Broker>;
}

/** Starts one before the tests of the file, and stops it behind them. */
export function rabbitMqFixture(): RabbitMqFixture {
  const brokers: Broker[] = [];
  let server: RabbitMqServer | undefined;
  before(async () => {
    if (withoutRabbitMq === false) server = await RabbitMqServer.start();
  });
  after(async () => {
    await Promise.all(brokers.map((broker) => broker.gracefulStop({ graceMs: 0 })));
    await server?.stop();
  });
  return {
    get server() {
      assert.ok(server !== undefined);
      return server;
    },
    async broker(options = {}) {
      const broker = await rabbitmq({ url: this.server.url, ...options });
      brokers.push(broker);
      return broker;
    },
  };
}

/** Where a message goes that is moved to a queue of a group. */
export function inQueue(topic: string, group: string, queue: GroupQueue) {
  return { to: { kind: "queue" as const, topic, group, queue } };
}

/** Messages of one key, with these texts. */
export function messagesTo(topic: string, texts: readonly string[], key = "k") {
  return texts.map((text) => messageTo(topic, text, { key }));
}

/** The body as text. */
export function textOf({ message }: Delivery): string {
  return Buffer.from(message.body ?? []).toString();
}

/** Resolves when something holds. */
export async function soon(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    assert.ok(performance.now() < untilMs, `not within ${withinMs} ms`);
    await sleep(20);
  }
}
