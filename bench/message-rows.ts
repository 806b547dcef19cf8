import { Missing } from "../conformance/tools.ts";
import { RabbitMqServer, withoutRabbitMq } from "../test/support/rabbitmq-server.ts";
import { runDuel, samplesAre } from "./duel.ts";
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
