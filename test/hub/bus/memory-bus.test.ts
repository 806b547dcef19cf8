import assert from "node:assert/strict";
import { test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { MemoryStore, memoryBus } from "../../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { formOf, publication, testBus } from "./bus-contract.ts";

testBus("memory", () => {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  return {
    hub: "hub",
    clock,
    pass: async (ms) => clock.advance(ms),
    first: memoryBus(store),
    second: memoryBus(store),
    other: memoryBus(store),
  };
});

test("memory: a bus is of one hub, and rooms that are long quiet are forgotten", async () => {
  const bus = memoryBus();
  const clock = new VirtualClock();
  const node = {
    name: "hub",
    id: "n",
    clock,
    form: formOf("n", clock),
    published: () => {},
    begun: () => {},
    frame: () => {},
    busIs: () => {},
  };
  await bus.start(node);
  await assert.rejects(bus.start(node), SetupError);
  const history = { size: 5, ttlMs: 1_000, bytes: 1_000 };
  const { signal } = new AbortController();
  const first = await bus.publish({ room: "a", publication: publication("1"), history, dedupeMs: 0 }, signal);
  clock.advance(3_000_000);
  assert.deepEqual((await bus.tops([{ room: "a", seen: undefined }]))[0], first.position);
  clock.advance(3_700_000);
  assert.notEqual((await bus.tops([{ room: "a", seen: undefined }]))[0]?.epoch, first.position?.epoch);
  assert.throws(
    () => new Hub({ bus: { ...bus, name: "small", maxMessageBytes: 10 } }),
    /more than the bus small takes, 10/,
  );
});
