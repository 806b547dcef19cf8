import assert from "node:assert/strict";
import { test } from "node:test";
import { logBus } from "../../src/app/bus-log.ts";
import type { BusNode } from "../../src/hub/bus/bus.ts";
import { memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";

test("each change of the bus is one line of the log, until that is ended", async () => {
  const bus = memoryBus();
  let node: BusNode | undefined;
  const start = bus.start.bind(bus);
  bus.start = (given) => start((node = given));
  const hub = new Hub({ bus });
  const lines: string[] = [];
  const write =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level} ${JSON.stringify(fields)} ${message}`);
  const end = logBus(hub, { info: write("info"), warn: write("warn") });
  for (const isUp of [false, false, true, true, false]) node?.busIs(isUp);
  assert.deepEqual(
    lines.map((line) => line.slice(0, 43)),
    [
      'warn {"bus":"memory"} the bus of the hub is down',
      'info {"bus":"memory"} the bus of the hub is there',
      'warn {"bus":"memory"} the bus of the hub is down',
    ].map((line) => line.slice(0, 43)),
  );
  end();
  node?.busIs(true);
  assert.equal(lines.length, 3);
  await hub.stop();
});
