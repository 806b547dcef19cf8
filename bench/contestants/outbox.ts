/**
 * Transactions of PostgreSQL that publish an event each: the first argument is `ours`, through an outbox whose relay runs
 * here too, or `bare`, a transaction without it and then a publish by `amqplib`. The further ones are the URLs of the
 * database and of RabbitMQ.
 */
import { toBinary } from "@bufbuild/protobuf";
import amqplib from "amqplib";
import pg from "pg";
import { OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { createPublisher } from "../../src/entries/messaging.ts";
import { OutboxRelay, postgresStore } from "../../src/entries/outbox.ts";
import { rabbitmq } from "../../src/entries/rabbitmq.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [side = "", database = "", url = ""] = process.argv.slice(2);
const prefix = `bench-${process.pid}.`;
const exchange = `${prefix}orders`;
const underWay = 16;
const order = { orderId: "7", totalCents: 1_999n, note: "x".repeat(170) };
/** Each side has its own, since both start at once. */
const table = `orders_${process.pid}`;
const insert = `insert into ${table} (id, cents) values ($1, $2)`;

const pool = new pg.Pool({ connectionString: database, max: underWay + 1 });
await pool.query(`create table ${table} (id text, cents bigint)`);
const channel = await (await amqplib.connect(url)).createConfirmChannel();
await channel.assertExchange(exchange, "topic", { durable: true });
const args = { "x-queue-type": "quorum", "x-max-length": 1_000 };
await channel.assertQueue(`${exchange}.kept`, { durable: true, arguments: args });
await channel.bindQueue(`${exchange}.kept`, exchange, "#");

interface Side {
  readonly once: () => Promise<unknown>;
  /** Resolves when everything is published. */
  readonly done: () => Promise<void>;
}

async function ours(): Promise<Side> {
  const store = postgresStore(pool);
  await store.migrate();
  const broker = await rabbitmq({ url, prefix });
  const events = createPublisher(broker);
  await new OutboxRelay({ store, broker }).start();
  return {
    once: () =>
      store.transact(undefined, async (tx) => {
        await tx.query(insert, [order.orderId, order.totalCents]);
        await events.in(tx).publish(OrderPlacedSchema, order);
      }),
    async done() {
      const isEmpty = async (): Promise<boolean> =>
        (await pool.query("select from ts_ms_outbox limit 1")).rows.length === 0;
      while (!(await isEmpty())) await new Promise((resolve) => setTimeout(resolve, 10));
    },
  };
}

async function bare(): Promise<Side> {
  const options = { persistent: true, contentType: "application/protobuf" };
  return {
    async once() {
      const client = await pool.connect();
      try {
        await client.query("begin");
        await client.query(insert, [order.orderId, order.totalCents]);
        await client.query("commit");
      } finally {
        client.release();
      }
      const body = Buffer.from(
        toBinary(OrderPlacedSchema, { ...order, $typeName: "tsms.test.v1.OrderPlaced" }),
      );
      await new Promise<void>((resolve, reject) => {
        const confirmed = (reason: Error | null | undefined): void => (reason ? reject(reason) : resolve());
        channel.publish(exchange, "s00.tsms.test.v1.OrderPlaced", body, options, confirmed);
      });
    },
    done: async () => {},
  };
}

const { once, done } = side === "ours" ? await ours() : await bare();
takePart({
  async work(ms) {
    const count = await repeatAsync(ms, underWay, async () => void (await once()));
    await done();
    return count;
  },
  sample: async () => {
    await once();
    await done();
    return "true";
  },
});
