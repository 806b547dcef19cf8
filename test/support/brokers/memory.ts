import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import type { BrokerFixture } from "./broker-fixture.ts";

export const memory: BrokerFixture = {
  name: "memory",
  missing: false,
  hasTombstones: true,
  deliveryMs: 1_000,
  settleMs: 1_000,
  joinMs: 0,
  async start() {
    const broker = memoryBroker();
    return {
      connect: async () => broker,
      stop: async () => void (await broker.gracefulStop({ graceMs: 100 })),
    };
  },
};
