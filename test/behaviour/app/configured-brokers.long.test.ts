/** The groups `kafka` and `nats` of `messaging.broker`, with servers. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/warehouse/v1/warehouse_pb.ts";
import { App } from "../../../src/app/app.ts";
import { service } from "../../../src/core/call/service.ts";
import { type ConsumedMessage, messageOf } from "../../../src/messaging/message-context.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { KafkaServer, withoutKafka } from "../../support/kafka-server.ts";
import { NatsServer, withoutNats } from "../../support/nats-server.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { eventually } from "../../support/worker-program.ts";
import { addressOf } from "./app-fixture.ts";

interface Row {
  readonly system: string;
  /** Why the test is skipped; false where it runs. */
  readonly skip: string | false;
  /** Its group in the file. */
  readonly group: string;
  readonly start: () => Promise<{ readonly url: string; stop(): Promise<void> }>;
}

const rows: readonly Row[] = [
  {
    system: "kafka",
    skip: withoutKafka,
    start: () => KafkaServer.start(),
    group:
      "{ client_id: shop, partitions: 2, compression: gzip, session_timeout: 6s, commit_interval: 100ms }",
  },
  {
    system: "nats",
    skip: withoutNats,
    start: () => NatsServer.start(),
    group: "{ ack_wait: 10s, duplicate_window: 1m, max_age: 1h, single_reader: true }",
  },
];

suite(
  "an app of a file publishes and consumes, as the group of its broker says, and behind a restart:",
  () => {
    for (const { system, skip, group, start } of rows) {
      test(system, { skip }, async () => {
        const server = await start();
        try {
          await using files = await TemporaryFiles.create();
          await publishAndConsume(await configIn(files, system, group), system, server.url);
        } finally {
          await server.stop();
        }
      });
    }
  },
);

function configIn(files: TemporaryFiles, system: string, group: string): Promise<string> {
  return files.write(
    "config.yaml",
    `app: { name: warehouse }
http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
messaging: { broker: { url: "\${BROKER}", prefix: shop, ${system}: ${group} } }
`,
  );
}

async function publishAndConsume(config: string, system: string, url: string): Promise<void> {
  await using app = await App.load({ argv: ["--config", config], env: { BROKER: url } });
  let read = Promise.withResolvers<ConsumedMessage | undefined>();
  app.addService(
    service(MailService, {
      onOrderPlaced(_order, context) {
        read.resolve(messageOf(context));
        return {};
      },
    }),
  );
  const events = createPublisher(app.broker);
  for (const orderId of ["1", "2"]) {
    read = Promise.withResolvers();
    await app.start();
    await events.publish(OrderPlacedSchema, { orderId, sku: "A1", count: 1 }, { id: `o-${orderId}` });
    const message = await read.promise;
    assert.deepEqual([message?.id, message?.source], [`o-${orderId}`, "/warehouse"]);
    const url = `http://${addressOf(app, "http")}/readyz`;
    // The first subscription may hand over a message while another one still connects.
    await eventually("it is ready", async () => ((await curl(url)).status === 200 ? true : undefined));
    assert.equal(app.broker.system, system);
    await app.stop();
  }
}
