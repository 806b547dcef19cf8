/**
 * Publishes messages of about 100 bytes that are kept, 64 under way, to the NATS of the second argument. The first one is
 * `hub`, or `jetstream`: the bare client.
 */
import { toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Hub } from "../../src/entries/hub.ts";
import { natsBus } from "../../src/entries/hub-nats.ts";
import { whenUp } from "../when-up.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [side, url = ""] = process.argv.slice(2);
const underWay = 64;
const message = { $typeName: "google.protobuf.StringValue" as const, value: "x".repeat(90) };

async function publisher(): Promise<() => Promise<void>> {
  if (side === "hub") {
    const hub = new Hub({ name: "bench", bus: natsBus({ servers: [url] }) });
    hub.attach(); // A hub without servers is closed.
    const topic = hub.topic("bench", StringValueSchema, { history: { size: 100 } });
    return async () => {
      await topic.publish("room", message);
    };
  }
  const connection = await connect({ servers: url.replace("nats://", "") });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name: "bare",
    subjects: ["bare.*"],
    storage: "memory",
    max_msgs_per_subject: 100,
  });
  const client = jetstream(connection);
  return async () => {
    await client.publish("bare.room", toBinary(StringValueSchema, message));
  };
}

const publish = await publisher();
await whenUp(publish); // It is not connected yet.

takePart({
  work: (ms) => repeatAsync(ms, underWay, publish),
  sample: async () => {
    await publish();
    return "true";
  },
});
