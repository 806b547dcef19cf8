/** The group `kafka` of `messaging.broker`, with a Kafka. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/warehouse/v1/warehouse_pb.ts";
import { App } from "../../../src/app/app.ts";
import { service } from "../../../src/core/call/service.ts";
import { type ConsumedMessage, messageOf } from "../../../src/messaging/message-context.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { curl } from "../../support/program.ts";
import { KafkaServer, withoutKafka } from "../../support/kafka-server.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "./app-fixture.ts";

suite("an app of a file with a Kafka", { skip: withoutKafka }, () => {
  let kafka: KafkaServer;
  let files: TemporaryFiles;
  before(async () => {
    kafka = await KafkaServer.start();
    files = await TemporaryFiles.create();
  });
  after(async () => {
    await kafka.stop();
    await files[Symbol.asyncDispose]();
  });

  test("publishes and consumes, as its group kafka says, and again behind a restart", async () => {
    const config = await files.write(
      "config.yaml",
      `app: { name: warehouse }
http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
messaging:
  broker:
    url: "\${KAFKA}"
    prefix: shop.
    kafka: { client_id: shop, partitions: 2, compression: gzip, session_timeout: 6s, commit_interval: 100ms }
`,
    );
    await using app = await App.load({ argv: ["--config", config], env: { KAFKA: kafka.url } });
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
      assert.equal((await curl(`http://${addressOf(app, "http")}/readyz`)).status, 200);
      assert.equal(app.broker.system, "kafka");
      await app.stop();
    }
  });
});
