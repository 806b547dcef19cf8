import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { OrderPlacedSchema, StockCountedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { DeadLetter, IncomingMessage } from "../../../src/messaging/broker.ts";
import { messageOf } from "../../../src/messaging/message-context.ts";
import { discard, retryAfter } from "../../../src/messaging/outcome.ts";
import { all } from "../../support/failure.ts";
import { Handled, type MessageRig, startRig, turns } from "../../support/message-rig.ts";

const group = "tsms.test.v1.MailService";
const limit = { limit: 100, signal: new AbortController().signal };

function deadOf(rig: MessageRig, topic: string): Promise<DeadLetter[]> {
  return all(rig.broker.deadLetters(topic, group).list(limit));
}

function header({ headers }: IncomingMessage, name: string): string | undefined {
  const found = headers.find(([each]) => each === name)?.[1];
  return typeof found === "string" ? found : undefined;
}

function statistics(rig: MessageRig, topic: string) {
  const found = rig.messages.subscriptions.find((each) => each.topic === topic && each.group === group);
  assert.ok(found !== undefined);
  return found;
}

suite("runs that fail:", () => {
  const permanent = [
    Code.InvalidArgument,
    Code.NotFound,
    Code.AlreadyExists,
    Code.PermissionDenied,
    Code.Unauthenticated,
    Code.FailedPrecondition,
    Code.OutOfRange,
    Code.DataLoss,
  ];
  for (const code of permanent) {
    test(`28 ${Code[code]} makes a dead letter after the first run`, async () => {
      const handled = new Handled<number>();
      await using rig = await startRig({
        mail: {
          onOrderPlaced() {
            handled.add(1);
            throw new ConnectError("no such order", code);
          },
        },
      });
      const { id } = await rig.events.publish(OrderPlacedSchema, { orderId: "7", note: "x" });
      await handled.count(1);
      await turns();
      const [letter] = await deadOf(rig, "orders");
      assert.ok(letter !== undefined);
      assert.equal(header(letter.message, "x-ts-ms-dead-reason"), "permanent");
      assert.equal(header(letter.message, "x-ts-ms-dead-message"), "no such order");
      assert.equal(header(letter.message, "x-ts-ms-dead-attempts"), "1");
      assert.equal(header(letter.message, "x-ts-ms-dead-rpc"), `${group}/OnOrderPlaced`);
      assert.equal(header(letter.message, "x-ts-ms-dead-topic"), "orders");
      assert.equal(header(letter.message, "x-ts-ms-dead-group"), group);
      assert.equal(header(letter.message, "ce_id"), id);
      assert.equal(letter.message.key, "7");
      assert.deepEqual(statistics(rig, "orders").settled, { dead: 1 });
      assert.equal(handled.items.length, 1);
    });
  }

  const transient = [
    new ConnectError("x", Code.Unavailable),
    new ConnectError("x", Code.DeadlineExceeded),
    new ConnectError("x", Code.ResourceExhausted),
    new ConnectError("x", Code.Aborted),
    new ConnectError("x", Code.Canceled),
    new ConnectError("x", Code.Unknown),
    new ConnectError("x", Code.Internal),
    new ConnectError("x", Code.Unimplemented),
    new ConnectError("x", 42 as Code), // A service's own.
    new Error("Z11"),
  ];
  for (const error of transient) {
    for (const deadLetters of [true, false]) {
      const name = error instanceof ConnectError ? `code ${error.code}` : "an exception";
      test(`28 ${name} is tried 5 times, dead letters ${deadLetters ? "on" : "off"}`, async () => {
        const attempts: (number | undefined)[] = [];
        const atMs: number[] = [];
        await using rig = await startRig({
          deadLetters,
          retry: { jitter: 0 },
          mail: {
            onOrderPlaced(_, context) {
              attempts.push(messageOf(context)?.attempt);
              atMs.push(rig.clock.nowMs());
              throw error;
            },
          },
        });
        await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
        await rig.clock.pass(200_000);
        await turns();
        assert.deepEqual(attempts, [1, 2, 3, 4, 5]);
        assert.deepEqual(atMs, [0, 1_000, 6_000, 36_000, 156_000]);
        const letters = await deadOf(rig, "orders");
        assert.equal(letters.length, deadLetters ? 1 : 0);
        const { settled, dead } = statistics(rig, "orders");
        assert.deepEqual(settled, deadLetters ? { dead: 1 } : { drop: 1 });
        assert.deepEqual(dead, { attempts: 1 });
        const [letter] = letters;
        if (letter !== undefined) assert.equal(header(letter.message, "x-ts-ms-dead-attempts"), "5");
      });
    }
  }

  test("29 a held message stops the lane of its key, and no other", async () => {
    const handled = new Handled<string>();
    let isWell = false;
    await using rig = await startRig({
      retry: { jitter: 0 },
      mail: {
        onOrderPlaced({ orderId, note }) {
          if (orderId === "bad" && !isWell) throw new ConnectError("x", Code.Aborted);
          handled.add(`${orderId} ${note}`);
          return {};
        },
      },
    });
    for (const note of ["1", "2"]) {
      for (const orderId of ["bad", "good"]) await rig.events.publish(OrderPlacedSchema, { orderId, note });
    }
    await handled.count(2);
    await turns();
    assert.deepEqual(handled.items, ["good 1", "good 2"]);
    assert.equal(statistics(rig, "orders").lanesHeld, 1);
    isWell = true;
    await rig.clock.pass(999);
    assert.equal(handled.items.length, 2);
    await rig.clock.pass(1);
    await handled.count(4);
    assert.deepEqual(handled.items.slice(2), ["bad 1", "bad 2"]);
  });

  test("29 without an order a message waits in the retry queues, and its attempts go on", async () => {
    const seen: (number | undefined)[] = [];
    await using rig = await startRig({
      mail: {
        onStockCounted(_, context) {
          seen.push(messageOf(context)?.attempt);
          throw new ConnectError("x", Code.Aborted);
        },
      },
    });
    await rig.events.publish(StockCountedSchema, { sku: "A1", count: 3 });
    await rig.clock.pass(1);
    assert.deepEqual(statistics(rig, "stock").settled, { retry: 1 });
    assert.equal(statistics(rig, "stock").lanesHeld, 0);
    await rig.clock.pass(160_000);
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    assert.deepEqual(statistics(rig, "stock").settled, { retry: 4, dead: 1 });
    assert.equal((await deadOf(rig, "stock")).length, 1);
  });

  test("29 RetryInfo is kept: in a lane as it is, in queues by the shortest that is not below it", async () => {
    const atMs: [string, number][] = [];
    await using rig = await startRig({
      mail: {
        onOrderPlaced() {
          atMs.push(["orders", rig.clock.nowMs()]);
          throw retryAfter(7_000, new ConnectError("x", Code.Aborted));
        },
        onStockCounted() {
          atMs.push(["stock", rig.clock.nowMs()]);
          throw retryAfter(7_000, new ConnectError("x", Code.Aborted));
        },
      },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
    await rig.clock.pass(7_000);
    await rig.events.publish(StockCountedSchema, { sku: "A1" });
    await rig.clock.pass(1);
    await rig.clock.pass(30_000);
    const of = (topic: string): number[] => atMs.filter(([name]) => name === topic).map(([, ms]) => ms);
    assert.deepEqual(of("orders").slice(0, 3), [0, 7_000, 14_000]);
    const [first = 0, second = 0] = of("stock");
    assert.equal(second - first, 30_000);
  });

  test("28 outcomes of the contract and of the server change lines; the contract's win", async () => {
    await using rig = await startRig({
      outcomes: new Map([[Code.NotFound, "drop"]]),
      mail: {
        onOrderPlaced() {
          throw new ConnectError("x", Code.NotFound);
        },
      },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
    await turns();
    assert.deepEqual(statistics(rig, "orders").settled, { drop: 1 });
  });

  test("a handler discards a message: it is settled, and counted as dropped", async () => {
    await using rig = await startRig({
      mail: {
        onOrderPlaced(_, { responseHeader }) {
          responseHeader.set("x-any", "a copy of the error has it");
          throw discard("the order is of a test");
        },
      },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
    await turns();
    assert.deepEqual(statistics(rig, "orders").settled, { drop: 1 });
  });

  test("M13 while the dead-letter queue is full the message stays, and is moved when there is room", async () => {
    await using rig = await startRig({
      memory: { maxMessages: 1 },
      mail: {
        onStockCounted() {
          throw new ConnectError("x", Code.NotFound);
        },
      },
    });
    await rig.events.publish(StockCountedSchema, { sku: "1" });
    await turns();
    await rig.events.publish(StockCountedSchema, { sku: "2" });
    await turns();
    const { movesFailing, pauses, settled } = statistics(rig, "stock");
    assert.deepEqual([movesFailing, pauses, settled], [1, ["moves"], { dead: 1 }]);
    await rig.clock.pass(60_000);
    assert.equal(statistics(rig, "stock").movesFailing, 1);
    await rig.broker.deadLetters("stock", group).drain(async () => true, limit);
    await rig.clock.pass(36_000);
    assert.equal(statistics(rig, "stock").movesFailing, 0);
    assert.deepEqual(statistics(rig, "stock").settled, { dead: 2 });
    assert.equal((await deadOf(rig, "stock")).length, 1);
  });

  test("M14 headers of dead letters are short, valid and there once, whatever the error says", async () => {
    const text = `a\r\nb\0${"\ud83d\ude00".repeat(50_000)}\ud83d`;
    await using rig = await startRig({
      mail: {
        onOrderPlaced() {
          throw new ConnectError(text, Code.Internal);
        },
      },
      retry: { delaysMs: [10, 10, 10, 10] },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "7" });
    for (let replays = 0; replays < 4; replays++) {
      await rig.clock.pass(1_000);
      const letters = await deadOf(rig, "orders");
      assert.equal(letters.length, 1);
      const [letter] = letters;
      assert.ok(letter !== undefined);
      const ours = letter.message.headers.filter(([name]) => name.startsWith("x-ts-ms-"));
      assert.equal(new Set(ours.map(([name]) => name)).size, ours.length);
      const message = header(letter.message, "x-ts-ms-dead-message") ?? "";
      assert.match(message, /^a b \u{1f600}/u);
      assert.ok(
        message.isWellFormed() && Buffer.byteLength(message) <= 512 && Buffer.byteLength(message) > 500,
      );
      const bytes = ours.reduce(
        (sum, [name, value]) => sum + name.length + Buffer.byteLength(String(value)),
        0,
      );
      assert.ok(bytes <= 2048, `${bytes} bytes`);
      assert.equal(header(letter.message, "x-ts-ms-dead-replays"), String(replays));
      assert.equal(header(letter.message, "x-ts-ms-dead-attempts"), "5");
      assert.equal(await rig.messages.replay("orders", group, { limit: 10 }), 1);
    }
  });
});
