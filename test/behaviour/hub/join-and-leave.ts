import assert from "node:assert/strict";
import { LiveService, WatchRoomResponseSchema } from "../../../gen/tsms/test/v1/live_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { madeCall } from "../../support/made-call.ts";

/** Calls that join rooms and leave, a third of them cut amid `authorize`, and what is left of them. */
export async function joinAndLeave(count: number): Promise<void> {
  const hub = new Hub({ maxPerUser: 0, joinsPerSecond: 0 });
  const topic = hub.topic("t", WatchRoomResponseSchema, {
    authorize: async () => {
      await Promise.resolve();
    },
  });
  for (let i = 0; i < count; i++) {
    const head = madeCall({ method: LiveService.method.watchRoom, principal: { id: `u${i % 100}` } });
    await hub.attach().gate.admit(head);
    const reader = topic.join([`r${i % 50}`, `s${i % 7}`], head.context)[Symbol.asyncIterator]();
    const first = reader.next().catch(() => {});
    if (i % 3 === 0) {
      head.context.abort(new ConnectError("left", Code.Canceled));
    } else {
      await topic.publish(`r${i % 50}`, { text: "x" });
      if (i % 3 === 1) void reader.return?.();
    }
    head.context.end();
    await first;
  }
  const { members: left, rooms, activeConnections } = await hub.statistics();
  assert.deepEqual([left, rooms, activeConnections], [0, 0, 0]);
}
