/**
 * Fills a queue, so that the process that reads it does not pay for that. Arguments: the URL of RabbitMQ, the prefix of
 * topics, and for another reader than ours the queue that gets JSON.
 */
import amqplib from "amqplib";
import { StockCountedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { createPublisher } from "../../src/entries/messaging.ts";
import { rabbitmq } from "../../src/entries/rabbitmq.ts";

const [url = "", prefix = "", queue] = process.argv.slice(2);
const counted = { sku: "x".repeat(185), count: 7 };
const atOnce = 500;

/** Publishes one message; resolves when it is stored. */
type PublishOne = () => Promise<unknown>;

async function events(): Promise<PublishOne> {
  const publisher = createPublisher(await rabbitmq({ url, prefix }), { timeoutMs: 30_000 });
  return () => publisher.publish(StockCountedSchema, counted);
}

/** What a client of NestJS sends to a microservice. */
async function packets(to: string): Promise<PublishOne> {
  const channel = await (await amqplib.connect(url)).createConfirmChannel();
  const packet = Buffer.from(JSON.stringify({ pattern: "stock.counted", data: counted }));
  return () =>
    new Promise<void>((resolve, reject) => {
      const confirmed = (reason: Error | null | undefined): void => (reason ? reject(reason) : resolve());
      channel.sendToQueue(to, packet, { persistent: true, contentType: "application/json" }, confirmed);
    });
}

const publishOne = await (queue === undefined ? events() : packets(queue));
process.on("message", (count) => void fill(Number(count)).then(() => process.send?.("filled")));
process.on("disconnect", () => process.exit());
process.send?.("ready");

async function fill(count: number): Promise<void> {
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await publishOne();
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
