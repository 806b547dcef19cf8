import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@redis/client";
import { FollowRoomsResponseSchema } from "../../../gen/tsms/test/v1/live_pb.ts";
import { systemClock } from "../../../src/core/time/clock.ts";
import type { Bus } from "../../../src/hub/bus/bus.ts";
import { redisBus } from "../../../src/hub/bus/redis/redis-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
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

testBus("redis, by a client of the user's own", () => {
  const own = (): Bus => {
    const bus = redisBus({ client: createClient({ url: server.url, name: "mine" }), prefix: "own:" });
    buses.push(bus);
    return bus;
  };
  const [first, second, other] = [own(), own(), own()];
  return { hub: `hub${++number}`, clock: systemClock, pass, first, second, other };
});

for (const [options, message] of [
  [{ client: {} }, /client must be one of @redis\/client/],
  [{ client: createClient(), url: "redis://x" }, /client has its own settings: not with url/],
  [{}, /needs either url/],
] as const) {
  test(`redisBus with ${Object.keys(options).join(" and ") || "nothing"} is refused`, () => {
    assert.throws(() => redisBus(options as Parameters<typeof redisBus>[0]), message); // One is wrong on purpose.
  });
}

test("a client of the user's own gives its settings, and stays as it is", async () => {
  const client = createClient({ url: server.url, name: "alone" });
  const bus = redisBus({ client });
  const hub = new Hub({ bus, name: "alone" });
  const topic = hub.topic("chat", FollowRoomsResponseSchema, { history: {} });
  const look = createClient({ url: server.url });
  await look.connect();
  while (!(await topic.position("a").catch(() => ""))) await pause(10);
  const { position } = await topic.publish("a", { text: "x" });
  assert.ok(position !== undefined);
  const named = (await look.sendCommand(["CLIENT", "LIST"])) as unknown as string;
  assert.equal(named.split("name=alone ").length - 1, 2, "one for commands, one for channels");
  assert.equal(client.isOpen, false);
  await hub.stop();
  look.destroy();
});

function made(): Bus {
  const bus = redisBus({ url: server.url });
  buses.push(bus);
  return bus;
}
