import { Missing } from "../conformance/tools.ts";
import { runDuel, samplesAre } from "./duel.ts";
import type { Measured, Rig, Row } from "./rig.ts";

/** What messages cost over Kafka beside its client. */
export const kafkaRows: readonly Row[] = [
  {
    id: "m3",
    work: "publish and confirm events to Kafka, all replicas, idempotent, 500 under way",
    subject: "`publish` of `createPublisher`",
    reference: "`Producer` of `@platformatic/kafka`, prepared bytes in batches of 500",
    better: "higher",
    must: 0.7,
    aim: 0.85,
    measure: (rig) => kafkaDuel("publish", rig),
  },
  {
    id: "m4",
    work: "read events of Kafka into a typed handler, 1,000 keys, 32 runs at once",
    subject: "`MessageServer`, by key",
    reference: "stream of `@platformatic/kafka` with `fromBinary`, one at a time, a commit each 1,000",
    better: "higher",
    must: 0.45,
    aim: 0.65,
    measure: (rig) => kafkaDuel("read", rig),
  },
];

async function kafkaDuel(work: string, rig: Rig): Promise<Measured> {
  // It looks for Java and the jars, which only these rows need.
  const { KafkaServer, withoutKafka } = await import("../test/support/kafka-server.ts");
  if (withoutKafka !== false) throw new Missing(withoutKafka);
  const server = await KafkaServer.start();
  try {
    const contestant = (side: string) => ({ file: "kafka.ts", args: [work, side, server.url] });
    const sides = { subject: contestant("ours"), reference: contestant("bare") };
    return await runDuel({ ...sides, check: samplesAre(true) }, rig);
  } finally {
    await server.stop();
  }
}
