import { after, before } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../../src/core/time/clock.ts";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { redisBus } from "../../../src/hub/bus/redis/redis-bus.ts";
import { RedisServer } from "../../support/redis-server.ts";
import { testBus } from "./bus-contract.ts";

let server: RedisServer;
let number = 0;
const buses: Bus[] = [];
const pass = async (ms: number): Promise<void> => {
  await pause(ms);
};

before(async () => {
  server = await RedisServer.start();
});
after(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await server.stop();
});

testBus("redis", () => {
  const [first, second, other] = [made(), made(), made()];
  return {
    hub: `hub${++number}`,
    clock: systemClock,
    pass,
    first,
    second,
    other,
  };
});

function made(): Bus {
  const bus = redisBus({ url: server.url });
  buses.push(bus);
  return bus;
}
