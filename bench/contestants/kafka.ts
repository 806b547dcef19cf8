/**
 * Publishes events of about 200 bytes to Kafka, or reads what was published before. The first argument is the work:
 * `publish` or `read`; the second one the side: `ours`, or `bare` for the client of Kafka; the third one the URL of Kafka.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Consumer, ProduceAcks, Producer } from "@platformatic/kafka";
import { MailService, OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../src/core/call/service.ts";
import { kafka } from "../../src/entries/kafka.ts";
import { createPublisher, MessageServer } from "../../src/entries/messaging.ts";
import { GrpcServer } from "../../src/index.ts";
import { orderOf, ordersTopic } from "./kafka-filler.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [work = "", side = "", url = ""] = process.argv.slice(2);
const isOurs = side === "ours";
const prefix = `bench-${process.pid}.`;
const bootstrapBrokers = [new URL(url).host];
const batch = 500;
/** As many messages are read as in so many milliseconds at this rate. */
const messagesPerMs = 20;

let last = 0;

/** Publishes as many messages as it says. */
interface Publishing {
  readonly publish: () => Promise<unknown>;
  readonly messages: number;
}

async function ourPublishing(): Promise<Publishing> {
  const events = createPublisher(await kafka({ url, prefix }), { timeoutMs: 30_000 });
  return { publish: () => events.publish(OrderPlacedSchema, orderOf(last++)), messages: 1 };
}

async function barePublishing(): Promise<Publishing> {
  const producer = new Producer({
    clientId: "bench",
    bootstrapBrokers,
    idempotent: true,
    autocreateTopics: true,
  });
  const messages = Array.from({ length: batch }, (_, number) => ({
    topic: prefix + ordersTopic,
    key: Buffer.from(orderOf(number).orderId),
    value: Buffer.from(
      toBinary(OrderPlacedSchema, { ...orderOf(number), $typeName: OrderPlacedSchema.typeName }),
    ),
  }));
  return { publish: () => producer.send({ messages, acks: ProduceAcks.ALL }), messages: batch };
}

/** Reads while it shall. */
interface Reading {
  read(): void;
  pause(): void;
}

let left = 0;
let finished = (): void => {};

/** Called by each handler. */
function handled(cents: bigint): void {
  if (cents !== 1_999n) throw new Error(`a message has ${cents} cents`);
  if (--left === 0) finished();
}

async function ourReading(): Promise<Reading> {
  const mail = service(MailService, {
    onOrderPlaced({ totalCents }) {
      handled(totalCents);
      return {};
    },
  });
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(mail);
  const messages = new MessageServer({ broker: await kafka({ url, prefix }), upstream: grpc, logger: false });
  await messages.addService(mail).start();
  const of = [ordersTopic, MailService.typeName] as const;
  messages.pause(...of);
  return { read: () => messages.resume(...of), pause: () => messages.pause(...of) };
}

async function bareReading(): Promise<Reading> {
  const consumer = new Consumer({ clientId: "bench", groupId: `${prefix}bare`, bootstrapBrokers });
  const topics = [prefix + ordersTopic];
  const stream = await consumer.consume({
    topics,
    mode: "committed",
    fallbackMode: "earliest",
    autocommit: false,
  });
  let count = 0;
  stream.on("data", (message) => {
    handled(fromBinary(OrderPlacedSchema, message.value).totalCents);
    if (++count % 1_000 === 0) void message.commit();
  });
  stream.pause();
  return { read: () => void stream.resume(), pause: () => void stream.pause() };
}

/** Fills the topic in a process of its own, and then reads that. */
async function filled(): Promise<(count: number) => Promise<number>> {
  const filler = fork(join(import.meta.dirname, "kafka-filler.ts"), [url, prefix], { execArgv: [] });
  await once(filler, "message");
  filler.send(1); // Makes the topic.
  await once(filler, "message");
  left = 1;
  const made = new Promise<void>((resolve) => (finished = resolve));
  const reading = await (isOurs ? ourReading() : bareReading());
  reading.read();
  await made;
  reading.pause();
  return async (count) => {
    filler.send(count);
    await once(filler, "message");
    left = count;
    const done = new Promise<void>((resolve) => (finished = resolve));
    reading.read();
    await done;
    reading.pause();
    return count;
  };
}

if (work === "read") {
  const readAll = await filled();
  takePart({
    work: (ms) => readAll(Math.ceil(ms * messagesPerMs)),
    sample: async () => String((await readAll(1)) === 1),
  });
} else {
  const { publish, messages } = await (isOurs ? ourPublishing() : barePublishing());
  takePart({
    work: async (ms) =>
      messages * (await repeatAsync(ms, batch / messages, async () => void (await publish()))),
    sample: async () => {
      await publish();
      return "true";
    },
  });
}
