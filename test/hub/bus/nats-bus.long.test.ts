import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../../src/core/time/clock.ts";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { natsBus } from "../../../src/hub/bus/nats/nats-bus.ts";
import { NatsServer, withoutNats } from "../../support/nats-server.ts";
import { testBus } from "./bus-contract.ts";

let server: NatsServer;
let number = 0;
const buses: Bus[] = [];

if (withoutNats !== false) test("nats: a bus over NATS", { skip: withoutNats }, () => {});
else {
  before(async () => {
    server = await NatsServer.start();
  });
  after(async () => {
    await Promise.all(buses.map((bus) => bus.close()));
    await server.stop();
  });
  testBus("nats", () => {
    const [first, second, other] = [made(), made(), made()];
    const pass = async (ms: number): Promise<void> => {
      await pause(ms);
    };
    return {
      hub: `hub${++number}`,
      clock: systemClock,
      pass,
      first,
      second,
      other,
    };
  });
}

function made(): Bus {
  const bus = natsBus({ servers: [server.url] });
  buses.push(bus);
  return bus;
}
