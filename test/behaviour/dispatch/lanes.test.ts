import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { startDispatch } from "../../support/dispatch-rig.ts";
import { Handled, turns } from "../../support/message-rig.ts";

suite("targets that do not answer:", () => {
  test("M26: one of 100 subscriptions hangs and one fails for ever: the others get 50 events at once", async () => {
    const published = new Handled<string>();
    const tries = { hanging: 0, failing: 0 };
    const rooms = {
      async publish(room: string) {
        if (room === "room-0") {
          tries.hanging++;
          return new Promise<never>(() => {});
        }
        if (room === "room-1") {
          tries.failing++;
          throw new ConnectError("never", Code.Unavailable);
        }
        published.add(room);
        return undefined;
      },
    };
    const given = Object.fromEntries(
      Array.from({ length: 100 }, (_, place) => [
        `s${place}`,
        { target: { case: "room", value: { topic: "all", name: `room-${place}` } } } as const,
      ]),
    );
    await using rig = await startDispatch({ rooms: { all: rooms }, subscriptions: given });
    for (let each = 0; each < 50; each++)
      await rig.publisher.publish(OrderPlacedSchema, { orderId: String(each) });
    await published.count(98 * 50);
    await turns();
    assert.equal(published.items.length, 98 * 50); // The clock has not moved: no time-out was waited for.
    assert.ok(tries.hanging <= 32, `${tries.hanging} tries of the one that hangs`);
    assert.ok(tries.failing <= 40, `${tries.failing} tries of the one that fails`);
  });

  test("52 a target that was away gets all its events when it is back, as far as their attempts go", async () => {
    const published = new Handled<string>();
    let isAway = true;
    const rooms = {
      async publish(_room: string, { orderId }: { readonly orderId: string }) {
        if (isAway) throw new ConnectError("away", Code.Unavailable);
        published.add(orderId);
      },
    };
    await using rig = await startDispatch({
      rooms: { all: { publish: (room, message) => rooms.publish(room, message) } },
      subscriptions: { live: { target: { case: "room", value: { topic: "all", name: "x" } } } },
    });
    for (let each = 0; each < 50; each++)
      await rig.publisher.publish(OrderPlacedSchema, { orderId: String(each) });
    await turns();
    isAway = false;
    for (let passed = 0; passed < 300 && published.items.length < 50; passed++) {
      await rig.clock.pass(1_000);
      await turns(3);
    }
    assert.equal(new Set(published.items).size, 50);
    assert.equal(published.items.length, 50);
  });
});
