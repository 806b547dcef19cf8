import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StockService } from "../../../gen/tsms/test/v1/messages_pb.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf, unavailableFor } from "../../../src/core/errors/retry-info.ts";
import type { OutgoingMessage } from "../../../src/messaging/broker.ts";
import { readReply } from "../../../src/messaging/call-reply.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { messageTo } from "../../support/brokers/readings.ts";
import { failure } from "../../support/failure.ts";
import { messageCalls, serveStock, stockTopic } from "../../support/message-calls.ts";
import { Handled, startRig, turns } from "../../support/message-rig.ts";

suite("calls of a server of messages:", () => {
  for (const { name, run } of messageCalls) {
    test(name, () => {
      const broker = memoryBroker();
      return run(async () => broker);
    });
  }

  test("M23 a consumer whose clock is an hour ahead runs no call, and its caller has an outcome by the deadline", async () => {
    let runs = 0;
    const count = (): object => ({ count: ++runs });
    const parts = { wallMs: () => Date.now() + 3_600_000 };
    await using rig = await startRig({ stock: { count }, parts });
    const client = createClient(StockService, dial(rig.broker));
    await failure(client.count({ sku: "A" }, { timeoutMs: 50 }), Code.DeadlineExceeded);
    assert.equal(runs, 0);
    assert.deepEqual(rig.messages.subscriptions[0]?.settled, { expired: 1 });
  });

  test("17 an expired call is not run, and its consumer sends no reply", async () => {
    const broker = memoryBroker();
    const held = Promise.withResolvers<object>();
    const begun = new Handled<string>();
    await using served = await serveStock(
      broker,
      {
        count: ({ sku }) => {
          begun.add(sku);
          return held.promise;
        },
      },
      { concurrency: 1 },
    );
    const client = createClient(StockService, dial(broker));
    const first = client.count({ sku: "first" });
    await begun.count(1);
    await failure(client.count({ sku: "late" }, { timeoutMs: 30 }), Code.DeadlineExceeded);
    held.resolve({ count: 1 });
    await first;
    assert.equal((await client.count({ sku: "next" })).count, 1);
    assert.deepEqual(begun.items, ["first", "next"]);
    assert.deepEqual(served.messages.subscriptions[0]?.settled, { ok: 2, expired: 1 });
  });

  test("15, 22 two calls of one idempotency key at once are one run, and both have its reply", async () => {
    const broker = memoryBroker();
    const held = Promise.withResolvers<object>();
    const begun = new Handled<string>();
    await using served = await serveStock(broker, {
      sell: ({ sku }) => {
        begun.add(sku);
        return held.promise;
      },
    });
    const client = createClient(StockService, dial(broker, { source: "/shop" }));
    const headers = { "idempotency-key": "k" };
    const both = [client.sell({ sku: "A" }, { headers }), client.sell({ sku: "A" }, { headers })];
    await begun.count(1);
    await turns();
    held.resolve({ left: 4 });
    assert.deepEqual(
      (await Promise.all(both)).map(({ left }) => left),
      [4, 4],
    );
    await turns();
    assert.equal(begun.items.length, 1);
    assert.deepEqual(served.messages.subscriptions[0]?.settled, { ok: 2 });
  });

  test("17 a gate that lets messages wait refuses a call at once", async () => {
    const broker = memoryBroker();
    const busy: Gate = {
      name: "busy",
      admit() {
        throw unavailableFor("busy", 2_000);
      },
    };
    await using served = await serveStock(broker, { count: () => ({}) }, { gates: [busy] });
    const client = createClient(StockService, dial(broker));
    const error = await failure(client.count({}), Code.Unavailable);
    assert.equal(retryAfterMsOf(error), 2_000);
    assert.deepEqual(served.messages.subscriptions[0]?.released, {});
  });

  const type = "tsms.test.v1.StockService.Count";
  const refused: readonly [what: string, type: string, more: Partial<OutgoingMessage>, code: Code][] = [
    ["of a type that no rpc takes", "x.Y", {}, Code.Unimplemented],
    ["with a body that cannot be read", type, { body: Buffer.from([255]) }, Code.InvalidArgument],
    ["without a body", type, { body: undefined }, Code.Aborted],
    [
      "with too large headers",
      type,
      { headers: new Map([["x", "y".repeat(20_000)]]) },
      Code.ResourceExhausted,
    ],
    ["with a coding that is unknown", type, { contentEncoding: "br" }, Code.InvalidArgument],
  ];
  for (const [what, named, more, code] of refused) {
    test(`17 a call ${what} is answered with ${Code[code]}, and is no dead letter`, async () => {
      const broker = memoryBroker();
      await using served = await serveStock(broker, { count: () => ({}) });
      const message = messageTo(stockTopic, "", more);
      assert.ok(message.event !== undefined && broker.call !== undefined);
      const call = { ...message, event: { ...message.event, type: named } };
      const reply = await broker.call(call, { signal: AbortSignal.timeout(5_000) });
      assert.equal(Code[readReply(reply).error?.code ?? 0], Code[code]);
      assert.equal(await served.messages.deadLetters(stockTopic, "stock").count(), 0);
    });
  }
});
