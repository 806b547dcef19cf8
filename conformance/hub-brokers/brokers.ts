import { Missing } from "../tools.ts";
import { natsBus } from "../../src/entries/hub-nats.ts";
import { redisBus } from "../../src/entries/hub-redis.ts";
import type { Bus } from "../../src/entries/hub.ts";
import { NatsServer, withoutNats } from "../../test/support/nats-server.ts";
import { RedisServer } from "../../test/support/redis-server.ts";

/** A broker that can be killed, and comes back with what it had. */
export interface RunningBroker {
  readonly url: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** The brokers that hubs are joined by. */
export const brokers: Readonly<Record<string, () => Promise<RunningBroker>>> = {
  redis: () => RedisServer.start(true),
  async nats() {
    if (withoutNats !== false) throw new Missing(withoutNats);
    return NatsServer.start();
  },
};

/** The bus of a URL. */
export async function hubBusFor(url: string): Promise<Bus> {
  return url.startsWith("redis:") ? redisBus({ url }) : natsBus({ servers: [url], storage: "file" });
}
