/**
 * Publishes events to Kafka, so that the process that reads them does not pay for that. Arguments: the URL of Kafka, and
 * the prefix of topics.
 */
import { OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import { kafka } from "../../src/entries/kafka.ts";
import { createPublisher } from "../../src/entries/messaging.ts";

/** The topic of the events. */
export const ordersTopic = "orders";

const keys = 1_000;
const note = "x".repeat(185);
const atOnce = 1_000;

/** An event of about 200 bytes, with one of 1,000 keys. */
export function orderOf(number: number) {
  return { orderId: `k${number % keys}`, totalCents: 1_999n, note };
}

if (process.argv[1] === import.meta.filename) await serve(process.argv.slice(2));

async function serve([url = "", prefix = ""]: readonly string[]): Promise<void> {
  const events = createPublisher(await kafka({ url, prefix }), { timeoutMs: 30_000 });
  process.on("message", (count) => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < Number(count)) await events.publish(OrderPlacedSchema, orderOf(next++));
    };
    void Promise.all(Array.from({ length: atOnce }, lane)).then(() => process.send?.("filled"));
  });
  process.on("disconnect", () => process.exit());
  process.send?.("ready");
}
