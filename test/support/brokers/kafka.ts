import { kafka as openKafka } from "../../../src/messaging/kafka/kafka.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { KafkaServer, withoutKafka } from "../kafka-server.ts";
import type { BrokerFixture } from "./broker-fixture.ts";

/** Kafka in a process of its own. */
export const kafka: BrokerFixture = {
  name: "kafka",
  missing: withoutKafka,
  hasTombstones: true,
  deliveryMs: 3_000,
  settleMs: 10_000,
  joinMs: 3_000,
  async start() {
    const server = await KafkaServer.start();
    const brokers: Broker[] = [];
    return {
      async connect() {
        const broker = await openKafka({ url: server.url });
        brokers.push(broker);
        return broker;
      },
      async stop() {
        await Promise.all(brokers.map((broker) => broker.gracefulStop({ graceMs: 0 })));
        await server.stop();
      },
    };
  },
};
