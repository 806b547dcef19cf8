import assert from "node:assert/strict";
import { test } from "node:test";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { startRig } from "../../support/message-rig.ts";

const others = 999;
const rounds = 2;
/** How long a handler takes, in milliseconds. */
const handlerMs = 10;

/** How long it takes until the messages of all keys but the hot one are handled, in milliseconds, where a run takes 10. */
async function timeOfOthers(hotPerRound: number): Promise<number> {
  let handled = 0;
  const isHot = (orderId: string): boolean => orderId === "hot";
  await using rig = await startRig({
    mail: {
      async onOrderPlaced({ orderId }) {
        await new Promise<void>((resolve) => rig.clock.after(handlerMs, resolve));
        if (!isHot(orderId)) handled++;
        return {};
      },
    },
  });
  const every = hotPerRound === 0 ? Infinity : Math.floor(others / hotPerRound);
  const published: Promise<unknown>[] = [];
  const publish = (orderId: string) => published.push(rig.events.publish(OrderPlacedSchema, { orderId }));
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < others; key++) {
      if (key % every === every - 1) publish("hot");
      publish(String(key));
    }
  }
  await Promise.all(published);
  let tookMs = 0;
  for (; handled < others * rounds; tookMs += handlerMs) await rig.clock.pass(handlerMs);
  return tookMs;
}

test("a key that has as many messages as its lane can run never halves the rate of 999 others", async () => {
  const alone = await timeOfOthers(0);
  const besideHot = await timeOfOthers(Math.floor(others / 32));
  assert.ok(besideHot <= 1.25 * alone, `${besideHot} ms beside a hot key, ${alone} without`);
});
