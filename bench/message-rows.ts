import { Missing } from "../conformance/tools.ts";
import { PostgresServer, withoutPostgres } from "../test/support/postgres-server.ts";
import { RabbitMqServer, withoutRabbitMq } from "../test/support/rabbitmq-server.ts";
import { runDuel, samplesAre } from "./duel.ts";
import { buildWatermill, fetchNest } from "./peers.ts";
import type { Measured, Rig, Row } from "./rig.ts";

/** What messages cost beside the client of their broker, and beside the same rpc in process. */
export const messageRows: readonly Row[] = [
  {
    id: "m1",
    work: "publish and confirm events to a quorum queue of RabbitMQ, 200 under way",
    subject: "`publish` of `createPublisher`",
    reference: "a confirm channel of `amqplib`, prepared bytes",
    better: "higher",
    must: 0.7,
    aim: 0.85,
    measure: (rig) => withRabbitMq((url) => duel("publish", url, rig)),
  },
  {
    id: "m2",
    work: "read events of RabbitMQ into a typed handler, and settle each",
    subject: "`MessageServer`, its defaults",
    reference: "`amqplib` with `fromBinary` and `ack`, the same messages",
    better: "higher",
    must: 0.5,
    aim: 0.7,
    measure: (rig) => withRabbitMq((url) => readersDuel("bare", [url], rig)),
  },
  {
    id: "m7",
    work: "commands through the broker in memory to their handlers, 64 under way",
    subject: '`dial(memoryBroker({ confirm: "handled" }))`, with a `MessageServer`',
    reference: "`dial` to the same server in process",
    better: "higher",
    must: 0.35,
    aim: 0.6,
    measure: (rig) => duel("memory", "", rig),
  },
  {
    id: "m8",
    work: "transaction of PostgreSQL with one row of the outbox, relay included, 16 under way",
    subject: "`transact` of `postgresStore`, with an `OutboxRelay` to RabbitMQ",
    reference: "the same without, and then a publish by `amqplib`",
    better: "higher",
    must: 0.6,
    aim: 0.8,
    measure: (rig) => withPostgres((database) => withRabbitMq((url) => outboxDuel(database, url, rig))),
  },
  {
    id: "m9",
    work: "calls over RabbitMQ, 64 under way, both ends in one process",
    subject: "`dial(broker)`, with a `MessageServer`",
    reference: "a pair over `amq.rabbitmq.reply-to` by `amqplib`",
    better: "higher",
    must: 0.5,
    aim: 0.7,
    measure: (rig) => withRabbitMq((url) => duel("call", url, rig)),
  },
  {
    id: "m10",
    work: "match of an event by its type and subject, ten subscriptions of which fit",
    subject: "10,000 subscriptions of 1,000 types",
    reference: "10 subscriptions of one type",
    better: "lower",
    must: 1.3,
    aim: 1.1,
    measure: (rig) => {
      const contestant = (types: number) => ({ file: "matching.ts", args: [String(types)] });
      const sides = { subject: contestant(1_000), reference: contestant(1), inverse: true };
      return runDuel({ ...sides, check: samplesAre(10) }, rig);
    },
  },
];

/** As `messageRows`, beside programs of other projects. */
export const messagePeerRows: readonly Row[] = [
  {
    id: "m5",
    work: "read events of RabbitMQ into a typed handler, and settle each",
    subject: "`MessageServer`, its defaults",
    reference: "NestJS 12, a microservice over RabbitMQ with JSON",
    better: "higher",
    must: 1.5,
    aim: 3,
    measure: async (rig) => {
      const folder = await fetchNest();
      return withRabbitMq((url) => readersDuel("nest", [url, folder], rig));
    },
  },
  {
    id: "m6",
    work: "read events of RabbitMQ into a typed handler, and settle each",
    subject: "`MessageServer`, its defaults",
    reference: "Watermill 1.5 (Go), a router over RabbitMQ with JSON",
    better: "higher",
    must: 0, // It is shown, and there is no limit.
    aim: 0.6,
    measure: async (rig) => {
      const binary = await buildWatermill();
      return withRabbitMq((url) => readersDuel("watermill", [url, binary], rig));
    },
  },
];

function readersDuel(reference: string, args: readonly string[], rig: Rig): Promise<Measured> {
  const contestant = (side: string) => ({ file: "message-readers.ts", args: [side, ...args] });
  const sides = { subject: contestant("ours"), reference: contestant(reference) };
  return runDuel({ ...sides, check: samplesAre(true) }, rig);
}

function outboxDuel(database: string, url: string, rig: Rig): Promise<Measured> {
  const contestant = (side: string) => ({ file: "outbox.ts", args: [side, database, url] });
  const sides = { subject: contestant("ours"), reference: contestant("bare") };
  return runDuel({ ...sides, check: samplesAre(true) }, rig);
}

function duel(work: string, url: string, rig: Rig): Promise<Measured> {
  const contestant = (side: string) => ({ file: "messages.ts", args: [work, side, url] });
  const sides = { subject: contestant("ours"), reference: contestant("bare") };
  return runDuel({ ...sides, check: samplesAre(true) }, rig);
}

async function withRabbitMq(measure: (url: string) => Promise<Measured>): Promise<Measured> {
  if (withoutRabbitMq !== false) throw new Missing(withoutRabbitMq);
  const server = await RabbitMqServer.start();
  try {
    return await measure(server.url);
  } finally {
    await server.stop();
  }
}

async function withPostgres(measure: (url: string) => Promise<Measured>): Promise<Measured> {
  if (withoutPostgres !== false) throw new Missing(withoutPostgres);
  const server = await PostgresServer.start();
  try {
    return await measure(server.url);
  } finally {
    await server.stop();
  }
}
