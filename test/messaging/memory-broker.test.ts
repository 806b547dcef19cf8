import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import type { Broker, OutgoingMessage, Published } from "../../src/messaging/broker.ts";
import { memoryBroker } from "../../src/messaging/memory/memory-broker.ts";
import { messageTo, publish, Reading, refusalOf, specOf, textOf } from "../support/brokers/readings.ts";
import { isImmediate } from "../support/failure.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const never = new AbortController().signal;

function publishing(broker: Broker, message: OutgoingMessage): Promise<Published | ConnectError | undefined> {
  return broker.publish([message], { signal: never }).then(([outcome]) => outcome);
}

suite("the memory broker:", () => {
  test("39 publishers wait, in order, while there is no room", async () => {
    const broker = memoryBroker({ maxMessages: 2 });
    const reading = await Reading.start(broker, specOf("orders", "mail"));
    const calls = ["0", "1", "2", "3"].map((text) => publishing(broker, messageTo("orders", text)));
    assert.deepEqual(await Promise.all(calls.map((call) => isImmediate(call))), [true, true, false, false]);
    (await reading.next(1_000)).settle();
    assert.deepEqual(await Promise.all(calls.map((call) => isImmediate(call))), [true, true, true, false]);
    for (let i = 0; i < 3; i++) (await reading.next(1_000)).settle();
    await calls[3];
    assert.deepEqual(reading.texts, ["0", "1", "2", "3"]);
  });

  test("39 bytes count too, and a message that is larger than the room alone is taken", async () => {
    const broker = memoryBroker({ maxBytes: 1_000 });
    const reading = await Reading.start(broker, specOf("orders", "mail"));
    await publish(broker, messageTo("orders", "", { body: new Uint8Array(5_000) }));
    const second = publishing(broker, messageTo("orders", "small"));
    assert.equal(await isImmediate(second), false);
    (await reading.next(1_000)).settle();
    assert.ok(!((await second) instanceof ConnectError));
  });

  test("14 a publisher that waits for room goes when its signal fires", async () => {
    const broker = memoryBroker({ maxMessages: 1 });
    await Reading.start(broker, specOf("orders", "mail"));
    await publish(broker, messageTo("orders", "0"));
    const controller = new AbortController();
    const waiting = refusalOf(broker, messageTo("orders", "1"), controller.signal);
    const behind = publishing(broker, messageTo("orders", "2"));
    controller.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
    const error = await waiting;
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.match(error.rawMessage, /^not sent: the broker is full/);
    assert.equal(await isImmediate(behind), false);
    const { cut } = await broker.gracefulStop({ graceMs: 0 });
    assert.deepEqual(cut, ["orders.mail: 1 message"]);
    const outcome = await behind;
    assert.ok(outcome instanceof ConnectError);
    assert.match(outcome.rawMessage, /^not sent: the broker memory has stopped/);
  });

  test("moves to retry queues need no room, and a full dead-letter queue refuses", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({ maxMessages: 1 }, { clock });
    const reading = await Reading.start(broker, specOf("orders", "mail"));
    await publish(broker, messageTo("orders", "0"));
    const delivery = await reading.next(1_000);
    const queue = { kind: "queue", topic: "orders", group: "mail" } as const;
    await publish(
      broker,
      messageTo("orders", "0", { to: { ...queue, queue: { kind: "retry", delayMs: 5_000 } } }),
    );
    delivery.settle();
    await clock.pass(4_999);
    assert.equal(reading.deliveries.length, 1);
    await clock.pass(1);
    const again = await reading.next(1_000);
    assert.equal(again.from, "retry");
    const dead = messageTo("orders", "0", { to: { ...queue, queue: { kind: "dead" } } });
    await publish(broker, dead);
    const error = await refusalOf(broker, dead);
    assert.equal(error.code, Code.Unavailable);
    assert.match(error.rawMessage, /the dead-letter queue of the group mail of the topic orders is full/);
    assert.equal(
      await broker.deadLetters("orders", "mail").drain(async () => true, { limit: 9, signal: never }),
      1,
    );
    await publish(broker, dead);
  });

  test("what is released with a delay comes after it", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({}, { clock });
    const reading = await Reading.start(broker, specOf("orders", "mail"));
    await publish(broker, messageTo("orders", "0"));
    (await reading.next(1_000)).release(1_000);
    await clock.pass(999);
    assert.equal(reading.deliveries.length, 1);
    await clock.pass(1);
    assert.equal((await reading.next(1_000)).redelivered, true);
  });

  test("39 confirm `handled`: when every group has settled it, retries included", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({ confirm: "handled" }, { clock });
    const mail = await Reading.start(broker, specOf("orders", "mail"));
    const search = await Reading.start(broker, specOf("orders", "search"));
    const sent = messageTo("orders", "0");
    const published = publishing(broker, sent);
    (await search.next(1_000)).settle();
    const first = await mail.next(1_000);
    const retry = { kind: "retry", delayMs: 1_000 } as const;
    await publish(broker, { ...sent, to: { kind: "queue", topic: "orders", group: "mail", queue: retry } });
    first.settle();
    assert.equal(await isImmediate(published), false);
    await clock.pass(1_000);
    (await mail.next(1_000)).settle();
    const outcome = await published;
    assert.ok(outcome !== undefined && !(outcome instanceof ConnectError) && outcome.confirmed);
    assert.ok(!((await publishing(broker, messageTo("unread", "0"))) instanceof ConnectError));
  });

  test("12 what is not handled in time says that it may be stored, with its id", async () => {
    const broker = memoryBroker({ confirm: "handled" });
    await Reading.start(broker, specOf("orders", "mail"));
    const controller = new AbortController();
    const sent = messageTo("orders", "0");
    const waiting = refusalOf(broker, sent, controller.signal);
    controller.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
    const { code, rawMessage } = await waiting;
    assert.equal(code, Code.DeadlineExceeded);
    assert.equal(
      rawMessage,
      `sent and not confirmed: it may be stored; publish again with id ${sent.event?.id}`,
    );
  });

  test("39 what is left at the stop is named, and deliveries of then can be settled within the grace", async () => {
    const broker = memoryBroker();
    const mail = await Reading.start(broker, specOf("orders", "mail", { prefetch: 2 }));
    await Reading.start(broker, specOf("StockService", "StockService"));
    await publish(broker, ...["0", "1", "2"].map((text) => messageTo("orders", text)));
    await publish(broker, messageTo("StockService", "0"));
    const dead = { kind: "queue", topic: "orders", group: "mail", queue: { kind: "dead" } } as const;
    await publish(broker, messageTo("orders", "d", { to: dead }), messageTo("orders", "d", { to: dead }));
    const [first, second] = [await mail.next(1_000), await mail.next(1_000)];
    const stopped = broker.gracefulStop({ graceMs: 50 });
    first?.settle();
    const { finished, cut } = await stopped;
    assert.equal(finished, 1);
    assert.deepEqual(cut, [
      "orders.mail: 2 messages",
      "orders.mail.dead: 2 messages",
      "StockService: 1 message",
    ]);
    assert.equal(second?.lost.aborted, true);
    assert.equal((second.lost.reason as ConnectError).code, Code.Aborted);
    second.settle();
    assert.equal(broker.state, "stop");
    const error = await refusalOf(broker, messageTo("orders", "0"));
    assert.match(error.rawMessage, /^not sent: the broker memory has stopped/);
    await assert.rejects(broker.check(), /the broker memory has stopped/);
  });

  test("a call whose caller has left is not delivered any more", async () => {
    const broker = memoryBroker();
    const reading = await Reading.start(broker, specOf("Stock", "Stock", { prefetch: 1 }));
    await publish(broker, messageTo("Stock", "0"));
    const controller = new AbortController();
    const called = broker.call?.(messageTo("Stock", "call"), { signal: controller.signal });
    assert.ok(called !== undefined);
    controller.abort(new ConnectError("left", Code.Canceled));
    await assert.rejects(called, /left/);
    await publish(broker, messageTo("Stock", "1"));
    (await reading.next(1_000)).settle();
    assert.equal(textOf((await reading.next(1_000)).message), "1");
  });

  for (const [options, problem] of [
    [{ confirm: "soon" }, /memoryBroker: the option confirm must be "accepted" or "handled", not 'soon'/],
    [{ maxMessages: 0 }, /maxMessages must be a whole number, at least 1, not 0/],
    [{ maxBytes: 1.5 }, /maxBytes must be a whole number of bytes/],
    [{ size: 1 }, /there is no option "size"/],
  ] as const) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => memoryBroker(options as object),
        (error) => error instanceof SetupError && problem.test(error.message),
      );
    });
  }
});
