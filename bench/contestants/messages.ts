/**
 * Publishes events of about 200 bytes, or calls, through a broker. The first argument is the work: `publish`, `call` or
 * `memory`; the second one is the side: `ours`, or `bare` for the client of the broker, and for `memory` the same rpc in
 * process; the third one the URL of RabbitMQ.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { connect, type ConsumeMessage } from "amqplib";
import {
  CountRequestSchema,
  CountResponseSchema,
  OrderPlacedSchema,
  StockService,
} from "../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../src/core/call/service.ts";
import { createPublisher, memoryBroker, MessageServer } from "../../src/entries/messaging.ts";
import { rabbitmq } from "../../src/entries/rabbitmq.ts";
import { createClient, dial, GrpcServer } from "../../src/index.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [work = "", side = "", url = ""] = process.argv.slice(2);
const isOurs = side === "ours";
const underWay = { publish: 200, call: 64, memory: 64 }[work] ?? 1;
const order = { orderId: "7", totalCents: 1_999n, note: "x".repeat(170) };
const prefix = `bench-${process.pid}.`;

/** A quorum queue that keeps the last thousand messages of an exchange. */
async function keepLast(exchange: string): Promise<Awaited<ReturnType<typeof connect>>> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  await channel.assertExchange(exchange, "topic", { durable: true });
  const args = { "x-queue-type": "quorum", "x-max-length": 1_000 };
  await channel.assertQueue(`${exchange}.kept`, { durable: true, arguments: args });
  await channel.bindQueue(`${exchange}.kept`, exchange, "#");
  return connection;
}

async function publisher(): Promise<() => Promise<unknown>> {
  const exchange = `${prefix}orders`;
  const connection = await keepLast(exchange);
  if (isOurs) {
    const events = createPublisher(await rabbitmq({ url, prefix }));
    return () => events.publish(OrderPlacedSchema, order);
  }
  const channel = await connection.createConfirmChannel();
  const message = { ...order, $typeName: "tsms.test.v1.OrderPlaced" as const };
  const body = Buffer.from(toBinary(OrderPlacedSchema, message));
  const options = { persistent: true, contentType: "application/protobuf" };
  return () =>
    new Promise<void>((resolve, reject) => {
      channel.publish(
        exchange,
        "s00.tsms.test.v1.OrderPlaced",
        body,
        options,
        (reason: Error | null | undefined) =>
          reason === null || reason === undefined ? resolve() : reject(reason),
      );
    });
}

/** The stock, behind a broker or in process. */
async function stock(): Promise<{
  readonly grpc: GrpcServer;
  readonly handlers: ReturnType<typeof handlersOf>;
}> {
  const handlers = handlersOf();
  return { grpc: new GrpcServer({ listen: false, logger: false }).addService(handlers), handlers };
}

function handlersOf() {
  return service(StockService, { count: () => ({ count: 7 }), reserve: () => ({}) });
}

async function caller(): Promise<() => Promise<unknown>> {
  if (!isOurs) return bareCaller();
  const { grpc, handlers } = await stock();
  const messages = new MessageServer({ broker: await rabbitmq({ url, prefix }), upstream: grpc });
  await messages.addService(handlers).start();
  const client = createClient(StockService, dial(await rabbitmq({ url, prefix })));
  return () => client.count({ sku: "A1" });
}

/** A pair over `amq.rabbitmq.reply-to`, which encodes and decodes as a typed client does. */
async function bareCaller(): Promise<() => Promise<unknown>> {
  const queue = `${prefix}calls`;
  const server = await (await connect(url)).createChannel();
  await server.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await server.prefetch(64);
  await server.consume(queue, (message) => {
    if (message === null) return;
    fromBinary(CountRequestSchema, message.content);
    const reply = toBinary(CountResponseSchema, { $typeName: "tsms.test.v1.CountResponse", count: 7 });
    const { replyTo, correlationId } = message.properties as { replyTo: string; correlationId: string }; // As below.
    server.sendToQueue(replyTo, Buffer.from(reply), { correlationId });
    server.ack(message);
  });
  const channel = await (await connect(url)).createChannel();
  const waiting = new Map<string, (message: ConsumeMessage) => void>();
  const replied = (message: ConsumeMessage | null): void => {
    if (message !== null) waiting.get(String(message.properties.correlationId))?.(message);
  };
  await channel.consume("amq.rabbitmq.reply-to", replied, { noAck: true });
  let last = 0;
  return async () => {
    const correlationId = String(++last);
    const body = toBinary(CountRequestSchema, { $typeName: "tsms.test.v1.CountRequest", sku: "A1" });
    const reply = new Promise<ConsumeMessage>((resolve) => waiting.set(correlationId, resolve));
    channel.sendToQueue(queue, Buffer.from(body), { correlationId, replyTo: "amq.rabbitmq.reply-to" });
    const { content } = await reply;
    waiting.delete(correlationId);
    return fromBinary(CountResponseSchema, content);
  };
}

/** A command to its handler through the broker in memory, until it is handled; and the same rpc called in process. */
async function inMemory(): Promise<() => Promise<unknown>> {
  const { grpc, handlers } = await stock();
  if (!isOurs) {
    const client = createClient(StockService, dial(grpc));
    return () => client.reserve({ sku: "A1", count: 1 });
  }
  const broker = memoryBroker({ confirm: "handled" });
  const messages = new MessageServer({ broker, upstream: grpc });
  await messages.addService(handlers).start();
  const client = createClient(StockService, dial(broker));
  return () => client.reserve({ sku: "A1", count: 1 });
}

const makers: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
  publish: publisher,
  call: caller,
  memory: inMemory,
};
const make = makers[work];
if (make === undefined) throw new Error(`there is no work ${work}`);
const once = await make();
takePart({
  work: (ms) => repeatAsync(ms, underWay, async () => void (await once())),
  sample: async () => {
    await once();
    return "true";
  },
});
