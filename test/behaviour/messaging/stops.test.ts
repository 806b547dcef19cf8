import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  type OrderPlaced,
  OrderPlacedSchema,
  StockCountedSchema,
} from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { memoryBroker } from "../../../src/messaging/memory/memory-broker.ts";
import { messageOf } from "../../../src/messaging/message-context.ts";
import type { GivenMessageOptions } from "../../../src/messaging/message-server-options.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { failure } from "../../support/failure.ts";
import { Handled, impatientBroker, startRig, turns } from "../../support/message-rig.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Handlers that take 5 seconds of a clock, or until their signal fires. */
function slow(clock: VirtualClock, done: Handled<string>, attempts: (number | undefined)[]) {
  return async (
    { orderId, note }: OrderPlaced,
    context: Parameters<typeof messageOf>[0] & { readonly signal: AbortSignal },
  ) => {
    attempts.push(messageOf(context)?.attempt);
    const { signal } = context;
    await new Promise<void>((resolve, reject) => {
      const cancel = clock.after(5_000, resolve);
      signal.addEventListener("abort", () => {
        cancel();
        reject(signal.reason as Error);
      });
    });
    done.add(`${orderId} ${note}`);
    return {};
  };
}

suite("stops of a server of messages:", () => {
  test("Z10 what runs finishes within the grace period and is settled; what waits goes back", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({}, { clock });
    const done = new Handled<string>();
    const attempts: (number | undefined)[] = [];
    await using rig = await startRig({
      clock,
      broker,
      concurrency: 2,
      mail: { onOrderPlaced: slow(clock, done, attempts) },
    });
    for (const orderId of ["a", "b", "c"]) await rig.events.publish(OrderPlacedSchema, { orderId });
    await turns();
    assert.equal(attempts.length, 2);
    const stopped = rig.messages.gracefulStop({ graceMs: 15_000 });
    assert.equal(rig.messages.state, "graceful");
    await clock.pass(5_000);
    const { finished, cut } = await stopped;
    assert.equal(finished, 2);
    assert.deepEqual(cut, []);
    assert.equal(rig.messages.state, "stop");
    const next = await startRig({ clock, broker, mail: { onOrderPlaced: slow(clock, done, attempts) } });
    await clock.pass(5_000);
    assert.deepEqual(done.items, ["a ", "b ", "c "]);
    assert.deepEqual(attempts, [1, 1, 1]);
    await next[Symbol.asyncDispose]();
  });

  test("M11 20 restarts in a row, each in the middle of handlers: no attempt, no dead letter, everything handled in order", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({}, { clock });
    const done = new Handled<string>();
    const attempts: (number | undefined)[] = [];
    const events = createPublisher(broker);
    let rig = await startRig({ clock, broker, mail: { onOrderPlaced: slow(clock, done, attempts) } });
    for (const note of ["1", "2", "3"]) {
      for (const orderId of ["a", "b"]) await events.publish(OrderPlacedSchema, { orderId, note });
    }
    for (let restart = 0; restart < 20; restart++) {
      await clock.pass(1_000);
      const stopped = rig.messages.gracefulStop({ graceMs: 1_000 });
      await clock.pass(2_000);
      const { cut } = await stopped;
      assert.deepEqual(
        cut,
        Array.from({ length: 2 }, () => "tsms.test.v1.MailService/OnOrderPlaced"),
      );
      const [orders] = rig.messages.subscriptions;
      assert.deepEqual(orders?.settled, {});
      assert.deepEqual(orders.released, { drain: 6 });
      rig = await startRig({ clock, broker, mail: { onOrderPlaced: slow(clock, done, attempts) } });
    }
    await clock.pass(16_000);
    assert.deepEqual(done.items, ["a 1", "b 1", "a 2", "b 2", "a 3", "b 3"]);
    assert.ok(
      attempts.every((attempt) => attempt === 1),
      JSON.stringify(attempts),
    );
    assert.equal(await rig.messages.deadLetters("orders", "tsms.test.v1.MailService").count(), 0);
    await rig[Symbol.asyncDispose]();
  });

  test("40 a failure during the stop counts no attempt and moves nothing", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({}, { clock });
    let end: (() => void) | undefined;
    await using rig = await startRig({
      clock,
      broker,
      mail: {
        onStockCounted: async () => {
          await new Promise<void>((resolve) => (end = resolve));
          throw new ConnectError("x", Code.NotFound);
        },
      },
    });
    await rig.events.publish(StockCountedSchema, {});
    await turns();
    const stopped = rig.messages.gracefulStop();
    end?.();
    assert.deepEqual(await stopped, { finished: 1, notified: [], cut: [] });
    const stock = rig.messages.subscriptions.find(({ topic }) => topic === "stock");
    assert.deepEqual(stock?.released, { drain: 1 });
    assert.equal(await broker.deadLetters("stock", "tsms.test.v1.MailService").count(), 0);
  });

  test("40 held messages go back at once, a stop before the start does nothing, and stops are idempotent", async () => {
    await using rig = await startRig({
      mail: {
        onOrderPlaced() {
          throw new ConnectError("x", Code.Aborted);
        },
      },
    });
    await rig.events.publish(OrderPlacedSchema, { orderId: "1" });
    await turns();
    const stopped = rig.messages.gracefulStop();
    assert.equal(rig.messages.gracefulStop(), stopped);
    assert.deepEqual(await stopped, { finished: 0, notified: [], cut: [] });
    const never = new MessageServer({ broker: rig.broker, upstream: new GrpcServer() });
    assert.deepEqual(await never.gracefulStop(), { finished: 0, notified: [], cut: [] });
    assert.equal(never.state, "stop");
  });

  test("41 with the broker away the start resolves; it is ready at the first success", async () => {
    const clock = new VirtualClock();
    let isThere = false;
    const inner = impatientBroker(clock);
    const broker: Broker = {
      ...inner,
      get state() {
        return inner.state;
      },
      async subscribe(spec, receive) {
        const subscription = await inner.subscribe(spec, receive);
        return {
          get connected() {
            return isThere;
          },
          pause: () => subscription.pause(),
          resume: () => subscription.resume(),
          stop: () => subscription.stop(),
          lag: () => subscription.lag(),
        };
      },
    };
    await using rig = await startRig({ clock, broker, mail: {} });
    assert.equal(rig.messages.state, "listen");
    await failure(rig.messages.check(), Code.Unavailable);
    await clock.pass(5_000);
    assert.equal(rig.messages.state, "listen");
    isThere = true;
    await clock.pass(2_000);
    assert.equal(rig.messages.state, "ready");
    await rig.messages.check();
    isThere = false;
    const error = await failure(rig.messages.check(), Code.Unavailable);
    assert.match(error.rawMessage, /subscription of .* to .* is not connected/);
  });

  test("broadcast: every process reads everything, by a group that ends with it", async () => {
    const clock = new VirtualClock();
    const broker = memoryBroker({}, { clock });
    const got = new Handled<string>();
    const rigOf = (name: string) =>
      startRig({ clock, broker, broadcast: true, mail: { onStockCounted: () => got.took(name) } });
    const [one, two] = [await rigOf("one"), await rigOf("two")];
    await one.events.publish(StockCountedSchema, {});
    assert.deepEqual(
      (await got.count(2)).toSorted((a, b) => a.localeCompare(b)),
      ["one", "two"],
    );
    await turns();
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
    await createPublisher(broker).publish(StockCountedSchema, {});
    assert.deepEqual((await broker.gracefulStop()).cut, []);
  });
});

suite("options of a server of messages:", () => {
  const upstream = new GrpcServer();
  const broker = memoryBroker();
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ broker: undefined }, /the option broker is missing: it must be a broker, as openBroker makes/],
    [{ upstream: undefined }, /MessageServer: the option upstream is missing/],
    [{ concurency: 1 }, /there is no option "concurency"; did you mean concurrency\?/],
    [{ concurrency: 0 }, /the option concurrency must be a whole number, at least 1, not 0/],
    [{ prefetch: 1.5 }, /prefetch must be a whole number/],
    [{ timeoutMs: 0 }, /timeoutMs must be a number of milliseconds above 0/],
    [{ retry: { delaysMs: [0] } }, /retry.delaysMs must be a list of whole numbers/],
    [{ retry: { mode: "soon" } }, /retry.mode must be "auto" or "hold" or "later", not 'soon'/],
    [{ retry: { jitter: 2 } }, /retry.jitter must be a number from 0 to 1/],
    [{ unknownType: "drop" }, /unknownType must be "skip" or "retry" or "dead"/],
    [{ untyped: "later" }, /untyped must be "dead", or an rpc/],
    [{ crashLimit: { runs: 0 } }, /crashLimit.runs must be a whole number/],
    [{ from: "end" }, /from must be "start" or "new"/],
    [{ forwardHeaders: ["x-ts-ms-attempt"] }, /forwardHeaders cannot have "x-ts-ms-attempt"/],
  ];
  for (const [options, problem] of cases) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      const given = { broker, upstream, ...options } as GivenMessageOptions; // As JavaScript callers may.
      assert.throws(
        () => new MessageServer(given),
        (error) => {
          assert.ok(error instanceof SetupError);
          assert.match(error.message, problem);
          return true;
        },
      );
    });
  }

  test("refuses an rpc for untyped messages that consumes nothing, and services after the start", async () => {
    const messages = new MessageServer({ broker, upstream, untyped: "tsms.test.v1.MailService/SendMail" });
    await assert.rejects(
      messages.start(),
      /untyped names tsms.test.v1.MailService\/SendMail, which consumes nothing here/,
    );
    assert.equal(messages.state, "error");
  });
});
