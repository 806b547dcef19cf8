import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { DispatchStore, KeptDelivery, KeptSubscription } from "../../src/dispatch/dispatch-store.ts";

const kept = (uid: string, owner: string, id: string, version = 1): KeptSubscription => ({
  ...{ uid, owner, id, version },
  stored: create(StoredSubscriptionSchema, { uid, owner }),
});

const delivery = (deliveryId: string, timeMs: number, attempt = 1): KeptDelivery => ({
  ...{
    deliveryId,
    uid: "u1",
    eventId: "e",
    eventSource: "/s",
    eventType: "t",
    status: "failed",
    httpStatus: 500,
  },
  ...{ code: 14, message: "it’s away", attempt, timeMs, event: Uint8Array.of(1, 0, 255) },
});

/** What every store of a dispatcher does; each case gets a store that is empty. */
export const dispatchStoreCases: readonly [name: string, run: (store: DispatchStore) => Promise<void>][] = [
  [
    "an id is unique for its owner, until it is deleted",
    async (store) => {
      assert.equal(await store.insert(kept("u1", "ann", "a")), true);
      assert.equal(await store.insert(kept("u2", "ann", "a")), false);
      assert.equal(await store.insert(kept("u3", "bob", "a")), true);
      assert.equal(await store.update({ ...kept("u1", "ann", "a", 2), stored: undefined }), true);
      assert.equal(await store.find({ owner: "ann", id: "a" }), undefined);
      assert.equal(await store.insert(kept("u4", "ann", "a")), true);
      assert.equal((await store.find({ owner: "ann", id: "a" }))?.uid, "u4");
    },
  ],
  [
    "of two changes of one version one is made",
    async (store) => {
      await store.insert(kept("u1", "ann", "a"));
      const both = [store.update(kept("u1", "ann", "a", 2)), store.update(kept("u1", "ann", "a", 2))];
      assert.equal((await Promise.all(both)).filter(Boolean).length, 1);
      assert.equal((await store.find({ uid: "u1" }))?.version, 2);
    },
  ],
  [
    "changes are those since the last look, deleted ones among them; at first all that there are",
    async (store) => {
      await store.insert(kept("u1", "ann", "a"));
      await store.insert(kept("u2", "ann", "b"));
      const first = await store.changes(undefined);
      assert.deepEqual(first.subscriptions.map(({ uid }) => uid).sort(), ["u1", "u2"]);
      await store.update({ ...kept("u2", "ann", "b", 2), stored: undefined });
      const { subscriptions } = await store.changes(first.now);
      assert.equal(subscriptions.find(({ uid }) => uid === "u2")?.stored, undefined);
      assert.deepEqual(
        (await store.changes(undefined)).subscriptions.map(({ uid, stored }) => [uid, stored?.owner]),
        [["u1", "ann"]],
      );
    },
  ],
  [
    "lists are by owner and id",
    async (store) => {
      for (const id of ["c", "a", "_", "b-1"]) await store.insert(kept(`u${id}`, "ann", id));
      await store.insert(kept("u9", "bob", "d"));
      assert.deepEqual(
        (await store.list("ann", "", 3)).map(({ id }) => id),
        ["_", "a", "b-1"],
      );
      assert.deepEqual(
        (await store.list("ann", "b-1", 3)).map(({ id }) => id),
        ["c"],
      );
    },
  ],
  [
    "a delivery is kept once, as its last try was; the newest comes first",
    async (store) => {
      await store.note(delivery("a", 1_000));
      await store.note(delivery("b", 2_000));
      await store.note(delivery("c", 2_000));
      await store.note(delivery("a", 3_000, 2));
      const found = await store.deliveries({ uid: "u1", limit: 2 });
      assert.deepEqual(
        found.map(({ deliveryId, attempt }) => [deliveryId, attempt]),
        [
          ["a", 2],
          ["c", 1],
        ],
      );
      assert.deepEqual(
        { ...found[0], event: [...(found[0]?.event ?? [])] },
        {
          ...delivery("a", 3_000, 2),
          event: [1, 0, 255],
        },
      );
      const next = await store.deliveries({ uid: "u1", beforeMs: 2_000, beforeId: "c", limit: 2 });
      assert.deepEqual(
        next.map(({ deliveryId }) => deliveryId),
        ["b"],
      );
      assert.equal((await store.deliveries({ uid: "u1", sinceMs: 2_500, limit: 9 })).length, 1);
      assert.equal((await store.deliveries({ uid: "u1", beforeMs: 2_500, limit: 9 })).length, 2);
      assert.equal((await store.deliveries({ uid: "u1", deliveryId: "b", limit: 9 })).length, 1);
      assert.equal((await store.deliveries({ uid: "u2", limit: 9 })).length, 0);
    },
  ],
  [
    "a sweep forgets what is older",
    async (store) => {
      await store.note(delivery("a", 1_000));
      await store.note(delivery("b", 2_000));
      await store.sweep(1_500);
      assert.deepEqual(
        (await store.deliveries({ uid: "u1", limit: 9 })).map(({ deliveryId }) => deliveryId),
        ["b"],
      );
    },
  ],
  [
    "tables are made any number of times",
    async (store) => {
      await Promise.all([store.migrate(), store.migrate()]);
      await store.insert(kept("u1", "ann", "a"));
      await store.migrate();
      assert.equal((await store.list("ann", "", 9)).length, 1);
    },
  ],
];
