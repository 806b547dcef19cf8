import { after } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../../src/core/time/clock.ts";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { WorkerBus } from "../../../src/hub/bus/workers/worker-bus.ts";
import { testBus } from "./bus-contract.ts";
import { MadeWorkers } from "./made-channels.ts";

const buses: Bus[] = [];
after(() => Promise.all(buses.map((bus) => bus.close())));

testBus("worker", () => {
  const workers = new MadeWorkers();
  const made = (): Bus => {
    const bus = new WorkerBus(workers.start().channel, true);
    buses.push(bus);
    return bus;
  };
  const [first, second, other] = [made(), made(), made()];
  return {
    hub: "hub",
    clock: systemClock,
    pass: async (ms) => {
      await pause(ms);
    },
    first,
    second,
    other,
  };
});
