/** The section `dispatch` of a configuration, through the front door. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeFile } from "node:fs/promises";
import { Webhook } from "standardwebhooks";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { MessageAdminService } from "../../../gen/ts_ms/messaging/v1/admin_pb.ts";
import {
  file_warehouse_v1_warehouse,
  MailService,
  OrderPlacedSchema,
} from "../../../gen/warehouse/v1/warehouse_pb.ts";
import { App } from "../../../src/app/app.ts";
import { ConfigPlan } from "../../../src/app/config-plan.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { service } from "../../../src/core/call/service.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../../src/core/config/loader/load-config.ts";
import { dial } from "../../../src/core/dial.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { dispatchDefaults, webhookDefaults } from "../../../src/dispatch/dispatch-options.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { startReceiver, type WebhookReceiver } from "../../support/webhook-receiver.ts";
import { addressOf, loadApp } from "./app-fixture.ts";

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const ordered = { orderId: "7", sku: "A1", count: 2 };
const common = `http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: 0 }, log: { level: silent } }
messaging: {}
`;

/** A program of a YAML file alone, with a folder of its own. */
async function startFile(yaml: (files: TemporaryFiles) => string | Promise<string>) {
  const files = await TemporaryFiles.create();
  const config = await files.write("config.yaml", common + (await yaml(files)));
  const app = await App.load({ argv: ["--config", config], env: {} });
  await app.start();
  return {
    app,
    async [Symbol.asyncDispose]() {
      await app.stop(undefined, { graceMs: 0 });
      await files[Symbol.asyncDispose]();
    },
  };
}

/** The file with the contracts of the warehouse. */
async function descriptorsIn(files: TemporaryFiles): Promise<string> {
  const all = new Map<string, typeof file_warehouse_v1_warehouse>();
  const add = (file: typeof file_warehouse_v1_warehouse): void => {
    for (const dependency of file.dependencies) add(dependency);
    all.set(file.name, file);
  };
  add(file_warehouse_v1_warehouse);
  const file = [...all.values()].map(({ proto }) => proto);
  const path = `${files.folder}/warehouse.binpb`;
  await writeFile(path, toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file })));
  return path;
}

function webhooks({ port }: WebhookReceiver): string {
  return `{ allow_http: true, allow_addresses: [127.0.0.1], ports: [${port}] }`;
}

suite("the section dispatch", () => {
  test("an app of a file alone sends the events of its broker to a webhook, again behind a restart", async () => {
    await using receiver = await startReceiver();
    await using program = await startFile(
      async (files) => `dispatch:
  topics: [orders]
  descriptors: [${await descriptorsIn(files)}]
  webhooks: ${webhooks(receiver)}
  subscriptions:
    partner:
      filter: { types: [warehouse.v1.OrderPlaced], not: { cel: data.count > 5 } }
      webhook: { url: "${receiver.url}", secret: ${secret}, headers: { x-shop: main } }
`,
    );
    const { app } = program;
    const events = createPublisher(app.broker);
    await events.publish(OrderPlacedSchema, { ...ordered, count: 6 }); // Not of the filter.
    const { id } = await events.publish(OrderPlacedSchema, ordered);
    const [hook] = await receiver.received.count(1);
    assert.ok(hook !== undefined);
    assert.deepEqual([hook.headers["ce-id"], hook.headers["x-shop"]], [id, "main"]);
    new Webhook(secret).verify(hook.body, {
      "webhook-id": String(hook.headers["webhook-id"]),
      "webhook-timestamp": String(hook.headers["webhook-timestamp"]),
      "webhook-signature": String(hook.headers["webhook-signature"]),
    });
    assert.deepEqual(JSON.parse(hook.body), ordered);
    assert.equal(app.servers.find(({ name }) => name === "dispatch")?.state, "ready");
    assert.equal((await app.health())["dispatch"]?.status, "serving");
    assert.equal(app.checkReports["dispatch"]?.status, "passing");
    const page = (await curl(`http://${addressOf(app, "exporter")}/metrics`)).body;
    assert.match(page, /ts_ms_dispatch_\w+\{[^}]*\} 1/);
    await app.stop();
    await app.start();
    await events.publish(OrderPlacedSchema, ordered);
    await receiver.received.count(2);
  });

  test("a program's services say which events there are, and a hub has the rooms", async () => {
    await using app = await loadApp({
      messaging: {},
      hub: { topics: { placed: { history: { size: 10 } } } },
      dispatch: {
        topics: ["orders"],
        subscriptions: { watchers: { room: { topic: "placed", name: "{data.order_id}" } } },
      },
    });
    app.addService(service(MailService, {}));
    const placed = app.hub.topic("placed", OrderPlacedSchema);
    await app.start();
    await createPublisher(app.broker).publish(OrderPlacedSchema, ordered);
    await until(async () => (await placed.history("7")).messages.length === 1);
  });

  test("deliveries are kept in the store of the outbox, and the admin port has the queues", async () => {
    await using receiver = await startReceiver();
    const root = createApiKey("root");
    await using program = await startFile(
      async (files) => `outbox: { sqlite: ${files.folder}/shop.db }
auth: { providers: { keys: { api_key: { keys_file: ${await files.write("keys.json", [
        { id: "root", hash: root.hash, roles: ["admin"] },
      ])} } } } }
access: { default: public }
admin: { port: 0 }
dispatch:
  topics: [orders]
  descriptors: [${await descriptorsIn(files)}]
  log_deliveries: all
  webhooks: ${webhooks(receiver)}
  subscriptions: { partner: { webhook: { url: "${receiver.url}", secret: ${secret} } } }
`,
    );
    const { app } = program;
    const admin = createClient(MessageAdminService, dial(addressOf(app, "admin")));
    const headers = { "x-api-key": root.key };
    const { subscriptions } = await admin.listSubscriptions({}, { headers });
    const queues = subscriptions.map(({ topic, group }) => `${topic} ${group}`);
    assert.ok(queues.includes("orders ts-ms.dispatch"), queues.join());
    assert.ok(queues.includes("ts-ms.dispatch.tasks ts-ms.dispatch"), queues.join());
    const orders = { topic: "orders", group: "ts-ms.dispatch" };
    await admin.pauseSubscription(orders, { headers });
    await createPublisher(app.broker).publish(OrderPlacedSchema, ordered);
    await admin.resumeSubscription(orders, { headers });
    await receiver.received.count(1);
    const { sql } = app.sqlite;
    await until(async () => {
      const rows = await sql.query(`select status from ${sql.table("deliveries")}`, []);
      return rows.length === 1 && rows[0]?.["status"] === "delivered";
    });
  });

  test("has the defaults of the library where it says nothing", async () => {
    await using app = await loadApp({ messaging: {}, dispatch: { topics: ["orders"] } });
    const { webhooks: sent, ...said } = app.config?.dispatch ?? assert.fail();
    const { retentionMs, ...numbers } = dispatchDefaults;
    assert.equal(said.retention, retentionMs);
    for (const name of ["group", "concurrency", "maxFanOut", "maxHops", "logDeliveries"] as const) {
      assert.equal(said[name], numbers[name], name);
    }
    assert.deepEqual(sent?.delays, webhookDefaults.delaysMs);
    assert.deepEqual(
      [sent?.timeout, sent?.disableAfter],
      [webhookDefaults.timeoutMs, webhookDefaults.disableAfterMs],
    );
    for (const name of [
      "allowHttp",
      "allowAddresses",
      "ports",
      "maxPayloadBytes",
      "concurrency",
      "perTarget",
    ] as const) {
      assert.deepEqual(sent?.[name], webhookDefaults[name], name);
    }
  });
});

suite("mistakes in the section dispatch name their place", () => {
  type Dispatch = NonNullable<ConfigInit["dispatch"]>;
  const hook = { url: "https://partner.example/hooks", secret };
  const of = (partner: NonNullable<Dispatch["subscriptions"]>[string]): Dispatch => ({
    topics: ["orders"],
    subscriptions: { partner },
  });
  const rows: readonly (readonly [name: string, dispatch: Dispatch, message: RegExp])[] = [
    ["no topics", {}, /dispatch\.topics: must have a topic/],
    [
      "an unknown topic",
      { topics: ["odrers"] },
      /dispatch: .*no event of the registry has the topic "odrers"/,
    ],
    ["a secret key", { topics: ["orders"], secretKey: "short" }, /dispatch: .*secretKey must be 32 bytes/],
    ["no target", of({}), /dispatch\.subscriptions\.partner: exactly one of/],
    ["two targets", of({ webhook: hook, topic: "a" }), /dispatch\.subscriptions\.partner: exactly one of/],
    [
      "no secret",
      of({ webhook: { url: hook.url } }),
      /dispatch\.subscriptions\.partner\.webhook\.secret: must be set/,
    ],
    [
      "a secret",
      of({ webhook: { ...hook, secret: "whsec_abc" } }),
      /dispatch: .*subscriptions\.partner: .*secret/,
    ],
    [
      "a kind of secret",
      of({ webhook: { ...hook, signature: "ED25519" } }),
      /subscriptions\.partner: .*signature/,
    ],
    [
      "a URL",
      of({ webhook: { ...hook, url: "http://partner.example/" } }),
      /subscriptions\.partner: .*must be https/,
    ],
    ["a type", of({ filter: { types: ["a.B"] }, webhook: hook }), /subscriptions\.partner: .*a\.B/],
    [
      "an rpc",
      of({ rpc: { target: "mail:42001" } }),
      /dispatch\.subscriptions\.partner\.rpc\.method: must be set/,
    ],
    ["no hub", of({ room: { topic: "a", name: "b" } }), /hub: is missing/],
    [
      "a file",
      { topics: ["orders"], descriptors: ["/no/such.binpb"] },
      /dispatch\.descriptors: .*no\/such\.binpb/,
    ],
  ];
  for (const [name, dispatch, message] of rows) {
    test(name, () => assert.rejects(start({ messaging: {}, dispatch }), message));
  }

  test("no broker", () =>
    assert.rejects(start({ dispatch: { topics: ["orders"] } }), /dispatch: needs messaging/));
});

/** Starts an app with the services of mails; mistakes do not end this process. */
async function start(init: ConfigInit): Promise<void> {
  const telemetry: ConfigInit["telemetry"] = { metrics: { port: "off" }, log: { level: "silent" } };
  const overrides: ConfigInit = { http: { port: 0 }, grpc: { port: 0 }, telemetry, ...init };
  const plan = await ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides }), {});
  await using app = new App(plan.options, plan);
  app.addService(service(MailService, {}));
  await app.start();
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 1_000, "it does not come");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
