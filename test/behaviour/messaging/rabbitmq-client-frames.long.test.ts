/**
 * Messages that the client itself publishes, as it does where its channels do not say where their frames go: what it sends
 * is what frames of our own are.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { systemClock } from "../../../src/core/time/clock.ts";
import type { OutgoingMessage } from "../../../src/messaging/broker.ts";
import { AmqpLine } from "../../../src/messaging/rabbitmq/amqp-line.ts";
import { declareExchange } from "../../../src/messaging/rabbitmq/declaring.ts";
import { type Channel, type ChannelModel, loadAmqplib } from "../../../src/messaging/rabbitmq/peer.ts";
import { Producer } from "../../../src/messaging/rabbitmq/producer.ts";
import { toRabbitMqOptions } from "../../../src/messaging/rabbitmq/rabbitmq-options.ts";
import type { Outcome } from "../../../src/messaging/rabbitmq/publication.ts";
import { waitEndOf } from "../../../src/messaging/wait.ts";
import { messageTo, newTopic, Reading, specOf } from "../../support/brokers/readings.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { rabbitMqFixture } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();

/** Where a field of the client is that its types do not have. */
type Hidden = "ch of channels" | "frameMax of connections";

/** A producer over a connection of its own. */
interface Publishing {
  publish(...messages: readonly OutgoingMessage[]): Promise<readonly Outcome[]>;
  /** How often the client has said that no more should be published now. */
  readonly full: number;
}

/** @param hidden what cannot be seen of the client; undefined: it is as it is */
async function startProducer(t: TestContext, hidden: Hidden | undefined): Promise<Publishing> {
  const { connect } = await loadAmqplib();
  const model = await connect(rabbit.server.url);
  model.on("error", () => {}); // Without a listener the event would throw.
  const seen = { full: 0 };
  const line = new AmqpLine(
    hidden === undefined ? model : hiding(model, hidden, seen),
    systemClock,
    () => {},
  );
  t.after(() => line.end());
  const channel = await line.openConfirmChannel();
  assert.equal(line.socketOf(channel) === undefined, hidden !== undefined, "the fallback is taken");
  const producer = new Producer(toRabbitMqOptions({ url: rabbit.server.url }), {
    declare: (to, { message }) => declareExchange(to, message.exchange, true),
    away: () => "there is no connection",
  });
  producer.up(line);
  return {
    publish: (...messages) => producer.publish(messages, waitEndOf({ signal: AbortSignal.timeout(20_000) })),
    get full() {
      return seen.full;
    },
  };
}

/** The real connection, without a field of it or of its channels. */
function hiding(model: ChannelModel, hidden: Hidden, seen: { full: number }): ChannelModel {
  const inChannels = hidden === "ch of channels" ? "ch" : undefined;
  const inConnection = hidden === "ch of channels" ? undefined : "frameMax";
  const channelOf = <C extends Channel>(channel: C): C =>
    without(channel, inChannels, {
      publish: (...args: Parameters<Channel["publish"]>) => {
        const goesOn = channel.publish(...args);
        if (!goesOn) seen.full++;
        return goesOn;
      },
    });
  return without(model, undefined, {
    createChannel: async () => channelOf(await model.createChannel()),
    createConfirmChannel: async () => channelOf(await model.createConfirmChannel()),
    connection: without(model.connection, inConnection, {}),
  });
}

/** An object without a field, and with others in place of its own. */
function without<T extends object>(of: T, field: string | undefined, others: object): T {
  return new Proxy(of, {
    has: (target, name) => name !== field && name in target,
    get(target, name) {
      if (name === field) return undefined;
      if (Object.hasOwn(others, name)) return Reflect.get(others, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

for (const hidden of ["ch of channels", "frameMax of connections"] as const) {
  test(`4 without ${hidden} a message has the same attributes, headers and body`, { skip }, async (t) => {
    const broker = await rabbit.broker();
    const [topic, own, clients] = [
      newTopic(),
      await startProducer(t, undefined),
      await startProducer(t, hidden),
    ];
    const reading = await Reading.start(broker, specOf(topic, "g"), true);
    const headers = new Map([
      ["x-plain", "1"],
      ["x-wide", "ä→𐍈 "],
    ]);
    const message = messageTo(topic, "body", { key: "a b", headers, contentEncoding: "identity" });
    const [mine] = await own.publish(message);
    const [theirs] = await clients.publish(message);
    assert.ok(mine !== undefined && !(mine instanceof ConnectError));
    assert.deepEqual(theirs, mine);
    const [first, second] = [await reading.next(3_000), await reading.next(3_000)];
    assert.deepEqual(second.message, first.message);
    assert.equal(second.message.headers.length > headers.size, true, "its attributes are there");
  });
}

test(
  "13, 14 messages of the client are stored in their order, and wait while it is full",
  { skip },
  async (t) => {
    const broker = await rabbit.broker();
    const [topic, clients] = [newTopic(), await startProducer(t, "ch of channels")];
    const reading = await Reading.start(broker, specOf(topic, "g", { prefetch: 1_000 }), true);
    const texts = Array.from({ length: 3_000 }, (_, at) => `${at} ${"x".repeat(200)}`);
    // In one turn, in which the client takes some 2,000: those behind them wait.
    const outcomes = await Promise.all(
      texts.map((text) => clients.publish(messageTo(topic, text, { key: "k" }))),
    );
    assert.ok(outcomes.flat().every((outcome) => !(outcome instanceof ConnectError) && outcome.confirmed));
    await reading.until(texts.length, 20_000);
    assert.deepEqual(
      reading.texts.map((text) => text?.split(" ")[0]),
      texts.map((text) => text.split(" ")[0]),
    );
    assert.ok(clients.full > 0, "the client was full");
  },
);

test("12 what no queue takes, and what AMQP has no form for, is refused alike", { skip }, async (t) => {
  const producers = [await startProducer(t, undefined), await startProducer(t, "ch of channels")];
  const topic = newTopic();
  const unread = messageTo(topic, "x", { mandatory: true });
  const formless = messageTo(topic, "x", { headers: new Map([["x".repeat(300), "1"]]) });
  const refusals = await Promise.all(
    producers.map(async (producer) => [
      ...(await producer.publish(unread)),
      ...(await producer.publish(formless)),
    ]),
  );
  const codes = refusals.map((outcomes) =>
    outcomes.map((outcome) => (outcome instanceof ConnectError ? outcome.code : assert.fail("it was taken"))),
  );
  assert.deepEqual(codes[1], codes[0]);
  assert.equal(codes[0]?.[0], Code.Unavailable);
  const [again] = (await producers[1]?.publish(messageTo(topic, "x"))) ?? [];
  assert.ok(again !== undefined && !(again instanceof ConnectError), "its channel is open");
});
