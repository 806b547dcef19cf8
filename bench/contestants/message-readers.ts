/**
 * Reads a queue of RabbitMQ that was filled before, message by message, and settles each. The first argument is the side:
 * `ours`, `bare` for `amqplib` with `fromBinary`, `nest` for a microservice of NestJS with JSON, or `watermill` for a router
 * of Watermill with JSON; the second one the URL of RabbitMQ; the third one the folder in which NestJS is installed, or the
 * program of Watermill.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import amqplib from "amqplib";
import { MailService, StockCountedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../src/core/call/service.ts";
import { MessageServer, type Broker } from "../../src/entries/messaging.ts";
import { rabbitmq } from "../../src/entries/rabbitmq.ts";
import { GrpcServer } from "../../src/index.ts";
import { nestReader } from "./nest-reader.ts";
import type { QueueReader } from "./queue-reader.ts";
import { takePart } from "./take-part.ts";
import { watermillReader } from "./watermill-reader.ts";

const [side = "", url = "", peer = ""] = process.argv.slice(2);
const prefix = `bench-${process.pid}.`;
const topic = "stock";
const group = MailService.typeName;
const queue = `${prefix}${topic}.${group}`;
/** As many messages are read as in so many milliseconds at this rate. */
const messagesPerMs = 20;

let left = 0;
let finished = (): void => {};

/** Called by each handler. */
function handled(count: number): void {
  if (count !== 7) throw new Error(`a message has the count ${count}`);
  if (--left === 0) finished();
}

/** A handler that is called as an rpc. */
async function ours(): Promise<QueueReader> {
  const mail = service(MailService, {
    onStockCounted({ count }) {
      handled(count);
      return {};
    },
  });
  const broker: Broker = await rabbitmq({ url, prefix });
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(mail);
  const messages = new MessageServer({ broker, upstream: grpc, logger: false });
  await messages.addService(mail).start();
  messages.pause(topic, group);
  return {
    queue: undefined,
    read: () => messages.resume(topic, group),
    stop: () => messages.pause(topic, group),
  };
}

async function bare(): Promise<QueueReader> {
  const channel = await (await amqplib.connect(url)).createChannel();
  await channel.assertExchange(`${prefix}${topic}`, "topic", { durable: true });
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.bindQueue(queue, `${prefix}${topic}`, "#");
  await channel.prefetch(64); // As ours has it.
  let consumerTag: string | undefined;
  return {
    queue: undefined,
    async read() {
      const consumed = await channel.consume(queue, (message) => {
        if (message === null) return;
        handled(fromBinary(StockCountedSchema, message.content).count);
        channel.ack(message);
      });
      consumerTag = consumed.consumerTag;
    },
    async stop() {
      if (consumerTag !== undefined) await channel.cancel(consumerTag);
    },
  };
}

const makers: Readonly<Record<string, () => Promise<QueueReader>>> = {
  ours,
  bare,
  nest: () => nestReader({ url, queue, folder: peer, handled }),
  watermill: () => watermillReader({ url, queue, binary: peer, handled }),
};
const make = makers[side];
if (make === undefined) throw new Error(`there is no side ${side}`);
const reader = await make();
const names = reader.queue === undefined ? [] : [reader.queue];
const filler = fork(join(import.meta.dirname, "queue-filler.ts"), [url, prefix, ...names], { execArgv: [] });
await once(filler, "message");

async function readAll(count: number): Promise<number> {
  filler.send(count);
  await once(filler, "message");
  left = count;
  const done = new Promise<void>((resolve) => (finished = resolve));
  await reader.read(count);
  await done;
  await reader.stop();
  return count;
}

takePart({
  work: (ms) => readAll(Math.ceil(ms * messagesPerMs)),
  sample: async () => String((await readAll(1)) === 1),
  ...(reader.usage && { usage: reader.usage }),
});
