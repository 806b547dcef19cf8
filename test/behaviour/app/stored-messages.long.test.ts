/** The sections `outbox` and `saga` of a configuration, in PostgreSQL. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { EchoRequestSchema, EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { MailService, OrderPlacedSchema } from "../../../gen/warehouse/v1/warehouse_pb.ts";
import { App } from "../../../src/app/app.ts";
import { service } from "../../../src/core/call/service.ts";
import { newWebhookSecret } from "../../../src/dispatch/signature.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { saga } from "../../../src/saga/saga.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { startReceiver } from "../../support/webhook-receiver.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const echo = saga(
  { name: "echo", version: 1, input: EchoRequestSchema, output: EchoResponseSchema },
  async (s, { text }) => {
    await s.step("a", async () => {});
    return { text };
  },
);

suite("outbox and sagas of a configuration", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let files: TemporaryFiles;
  let config: string;
  before(async () => {
    postgres = await PostgresServer.start();
    files = await TemporaryFiles.create();
    config = await files.write(
      "config.yaml",
      `http: { port: 0 }
grpc: { port: 0 }
telemetry: { metrics: { port: "off" }, log: { level: silent } }
messaging: {}
outbox: { postgres: "\${DATABASE_URL}", poll: 50ms }
saga: { postgres: "\${DATABASE_URL}" }
`,
    );
  });
  after(async () => {
    await postgres.stop();
    await files[Symbol.asyncDispose]();
  });

  test("a transaction's event is sent, a saga runs, and both go on behind a restart of the app", async () => {
    await using app = await App.load({ argv: ["--config", config], env: { DATABASE_URL: postgres.url } });
    let sent = Promise.withResolvers<string>();
    app.addService(
      service(MailService, {
        onOrderPlaced({ orderId }) {
          sent.resolve(orderId);
          return {};
        },
      }),
    );
    app.addSaga(echo);
    const events = createPublisher(app.broker);
    assert.throws(() => app.sagas, /from its start on/);
    for (const orderId of ["1", "2"]) {
      await app.start();
      sent = Promise.withResolvers();
      await app.postgres.transact(undefined, async (tx) => {
        await events.in(tx).publish(OrderPlacedSchema, { orderId, sku: "A1", count: 1 });
      });
      assert.equal(await sent.promise, orderId);
      const begun = await app.sagas.begin(echo, { text: "x" }, { id: orderId });
      assert.equal((await begun.result({ timeoutMs: 10_000 })).text, "x");
      assert.throws(() => app.addSaga(echo), /add sagas before/);
      await app.stop();
    }
  });

  test("with PostgreSQL away an app with an outbox starts, and its tables are made when it is there", async () => {
    await postgres.kill();
    await using app = await App.load({
      argv: ["--config", config, "--set", "saga=null"],
      env: { DATABASE_URL: postgres.url },
      overrides: { outbox: { prefix: "late_" } },
    });
    await app.start();
    assert.equal(app.servers.find(({ name }) => name === "outbox")?.state, "listen");
    const ready = Promise.withResolvers<void>();
    app.onStateChange((name, state) => {
      if (name === "outbox" && state === "ready") ready.resolve();
    });
    await postgres.restart();
    await ready.promise;
  });

  test("with PostgreSQL away an app with a dispatcher starts, and dispatches when it is there", async () => {
    await using receiver = await startReceiver();
    await postgres.kill();
    await using app = await App.load({
      argv: ["--config", config, "--set", "saga=null"],
      env: { DATABASE_URL: postgres.url },
      overrides: {
        outbox: { prefix: "later_" },
        dispatch: {
          topics: ["orders"],
          webhooks: { allowHttp: true, allowAddresses: ["127.0.0.1"], ports: [receiver.port] },
          subscriptions: { partner: { webhook: { url: receiver.url, secret: newWebhookSecret() } } },
        },
      },
    });
    app.addService(service(MailService, {}));
    const ready = Promise.withResolvers<void>();
    app.onStateChange((name, state) => {
      if (name === "dispatch" && state === "ready") ready.resolve();
    });
    await app.start();
    assert.equal(app.servers.find(({ name }) => name === "dispatch")?.state, "listen");
    assert.notEqual((await app.health())["dispatch"]?.status, "serving");
    await postgres.restart();
    await ready.promise;
    await createPublisher(app.broker).publish(OrderPlacedSchema, { orderId: "7", sku: "A1", count: 1 });
    await receiver.received.count(1);
  });
});
