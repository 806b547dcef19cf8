import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { testRegistry } from "../support/dispatch-rig.ts";
import { coreWith, eventOf } from "../support/known-subscriptions.ts";
import { turns } from "../support/message-rig.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const target = { case: "topic", value: "audit" } as const;
const type = "tsms.test.v1.OrderPlaced";

/** A clock by which each look at it takes some time. */
class SlowClock extends VirtualClock {
  stepMs = 6;
  #moreMs = 0;

  override nowMs(): number {
    this.#moreMs += this.stepMs;
    return super.nowMs() + this.#moreMs;
  }
}

test("51 a condition that takes more than 5 ms ten times within a minute makes its subscriptions FAULTY", async () => {
  const clock = new SlowClock();
  const slow = { filter: { types: [type], cel: "data.total_cents > 1" }, target };
  const core = await coreWith(
    testRegistry,
    { slow, plain: { filter: { types: [type] }, target } },
    {},
    { clock },
  );
  const message = { $typeName: type, orderId: "7", totalCents: 2n, note: "" } as const;
  const event = () => eventOf(core, type, toBinary(OrderPlacedSchema, message));
  const state = async (id: string) => (await core.live.find(`configuration.${id}`))?.state;
  for (let at = 0; at < 9; at++) assert.equal(core.fanOut.match(event()).length, 2);
  await turns();
  assert.equal(await state("slow"), State.ACTIVE);
  core.fanOut.match(event());
  await turns();
  assert.deepEqual([await state("slow"), await state("plain")], [State.FAULTY, State.ACTIVE]);
  assert.deepEqual(
    core.fanOut.match(event()).map(({ id }) => id),
    ["plain"],
  );
});
