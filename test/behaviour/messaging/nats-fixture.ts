import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { Broker } from "../../../src/messaging/broker.ts";
import { nats } from "../../../src/messaging/nats/nats.ts";
import type { NatsBrokerOptions } from "../../../src/messaging/nats/nats-options.ts";
import { NatsServer, withoutNats } from "../../support/nats-server.ts";

/** A NATS for all tests of a file, and brokers of processes that use it. */
export interface NatsFixture {
  readonly server: NatsServer;
  /** A broker of a process of its own, which ends with the file. */
  broker(options?: Partial<NatsBrokerOptions>): Promise<Broker>;
}

/** Starts one before the tests of the file, and stops it behind them. */
export function natsFixture(): NatsFixture {
  const brokers: Broker[] = [];
  let server: NatsServer | undefined;
  before(async () => {
    if (withoutNats === false) server = await NatsServer.start();
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
      const broker = await nats({ url: this.server.url, ...options });
      brokers.push(broker);
      return broker;
    },
  };
}
