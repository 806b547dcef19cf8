import { rabbitmq as openRabbitMq } from "../../../src/messaging/rabbitmq/rabbitmq.ts";
import { RabbitMqServer, withoutRabbitMq } from "../rabbitmq-server.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import type { BrokerFixture } from "./broker-fixture.ts";

/** RabbitMQ in a process of its own. */
export const rabbitmq: BrokerFixture = {
  name: "rabbitmq",
  missing: withoutRabbitMq,
  hasTombstones: false,
  deliveryMs: 3_000,
  settleMs: 5_000,
  joinMs: 0,
  async start() {
    const server = await RabbitMqServer.start();
    const brokers: Broker[] = [];
    return {
      async connect() {
        const broker = await openRabbitMq({ url: server.url });
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
