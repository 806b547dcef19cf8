import type { Broker } from "../../../src/messaging/broker.ts";
import { nats as openNats } from "../../../src/messaging/nats/nats.ts";
import { NatsServer, withoutNats } from "../nats-server.ts";
import type { BrokerFixture } from "./broker-fixture.ts";

/** NATS in a process of its own. */
export const nats: BrokerFixture = {
  name: "nats",
  missing: withoutNats,
  hasTombstones: false,
  deliveryMs: 3_000,
  settleMs: 5_000,
  joinMs: 0,
  async start() {
    const server = await NatsServer.start();
    const brokers: Broker[] = [];
    return {
      async connect() {
        const broker = await openNats({ url: server.url, singleReader: true });
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
