/**
 * Publishes messages of about 100 bytes that are kept, 64 under way, to the Redis of the second argument. The first one is
 * `hub`, or `client`: the bare client, by one transaction for each.
 */
import { toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@redis/client";
import { Hub } from "../../src/entries/hub.ts";
import { redisBus } from "../../src/entries/hub-redis.ts";
import { whenUp } from "../when-up.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [side, url = ""] = process.argv.slice(2);
const underWay = 64;
const kept = 100;
const message = { $typeName: "google.protobuf.StringValue" as const, value: "x".repeat(90) };

async function publisher(): Promise<() => Promise<void>> {
  if (side === "hub") {
    const hub = new Hub({ name: "bench", bus: redisBus({ url }) });
    hub.attach(); // A hub without servers is closed.
    const topic = hub.topic("bench", StringValueSchema, { history: { size: kept } });
    return async () => {
      await topic.publish("room", message);
    };
  }
  const client = createClient({ url });
  await client.connect();
  const TRIM = { strategy: "MAXLEN", strategyModifier: "~", threshold: kept } as const;
  return async () => {
    const body = Buffer.from(toBinary(StringValueSchema, message));
    await client.multi().xAdd("bare", "*", { body }, { TRIM }).publish("bare", body).exec();
  };
}

const publish = await publisher();
await whenUp(publish);

takePart({
  work: (ms) => repeatAsync(ms, underWay, publish),
  sample: async () => {
    await publish();
    return "true";
  },
});
