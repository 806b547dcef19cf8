/** The section `messaging` of a configuration, through the front door. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { MessageAdminService } from "../../../gen/ts_ms/messaging/v1/admin_pb.ts";
import { MailService, OrderPlacedSchema, StockService } from "../../../gen/warehouse/v1/warehouse_pb.ts";
import { App } from "../../../src/app/app.ts";
import { ConfigPlan } from "../../../src/app/config-plan.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { service } from "../../../src/core/call/service.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../../src/core/config/loader/load-config.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { principal } from "../../../src/core/security/principal.ts";
import { messageServerDefaults } from "../../../src/messaging/message-server-options.ts";
import { messageOf, type ConsumedMessage } from "../../../src/messaging/message-context.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { rabbitMqDefaults } from "../../../src/messaging/rabbitmq/rabbitmq-options.ts";
import { memoryBrokerDefaults } from "../../../src/messaging/memory/memory-options.ts";
import { StockService as Stock } from "../../../src/services/warehouse/stock-service.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf, loadApp, takenPort } from "./app-fixture.ts";

/** A program whose YAML file has a broker: a warehouse that publishes, and mails that are sent for that. */
async function startWarehouse(yaml: string, argv: readonly string[] = []) {
  const files = await TemporaryFiles.create();
  const common = `app: { name: warehouse }
http: { port: 0 }
grpc: { port: 0 }
overload: { enabled: false }
telemetry: { metrics: { port: 0 }, log: { level: silent } }
`;
  const config = await files.write("config.yaml", common + yaml);
  const app = await App.load({ argv: ["--config", config, ...argv], env: {} });
  const mails: { readonly message: ConsumedMessage | undefined; readonly who: string | undefined }[] = [];
  const sent = Promise.withResolvers<void>();
  let failures: ConnectError[] = [];
  const mail = service(MailService, {
    onOrderPlaced(_order, context) {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      mails.push({ message: messageOf(context), who: principal(context)?.id });
      sent.resolve();
      return {};
    },
  });
  const events = createPublisher(app.broker);
  app.addService(new Stock({ stock: new Map([["A1", 10]]), events, log: () => {} })).addService(mail);
  await app.start();
  return {
    ...{ app, mails, files, events, sent: sent.promise },
    fail: (...errors: ConnectError[]) => {
      failures = errors;
    },
    metrics: async () => (await curl(`http://${addressOf(app, "exporter")}/metrics`)).body,
    async [Symbol.asyncDispose]() {
      await app.stop(undefined, { graceMs: 0 });
      await files[Symbol.asyncDispose]();
    },
  };
}

const ordered = { orderId: "7", sku: "A1", count: 2 };

suite("the broker of a configuration", () => {
  test("carries the commands, calls and events of an app's services", async () => {
    await using warehouse = await startWarehouse("messaging: { broker: { name: main } }\n");
    const { app, mails } = warehouse;
    const stock = createClient(StockService, dial(app.broker));
    await stock.reserve(ordered);
    await warehouse.sent;
    assert.deepEqual(mails[0]?.message?.type, "warehouse.v1.OrderPlaced");
    assert.equal(mails[0]?.message?.source, "/warehouse"); // `app.name`.
    assert.equal((await stock.count({ sku: "A1" }, { timeoutMs: 5_000 })).count, 8);
    const { state, services } = app.servers.find(({ name }) => name === "messages") ?? assert.fail();
    assert.deepEqual([state, services.length], ["ready", 2]);
    assert.equal((await app.health())["messages"]?.status, "serving");
    assert.equal(app.checkReports["messaging"]?.status, "passing");
    assert.equal(app.statistics("messages").totalRequests, 3);
    const page = await warehouse.metrics();
    assert.match(page, /ts_ms_queue_settled_total\{topic="orders",group="[^"]+",outcome="ok"\} 1/);
    assert.match(page, /ts_ms_queue_published_total\{topic="orders",result="confirmed"\} 1/);
    assert.match(page, /ts_ms_calls_finished_total\{[^}]*method="Reserve",protocol="memory",code="OK"\} 1/);
  });

  test("serves again after the app was stopped, for the same publishers and clients", async () => {
    await using warehouse = await startWarehouse("messaging: {}\n");
    const { app, events, mails } = warehouse;
    const stock = createClient(StockService, dial(app.broker));
    assert.equal((await stock.count({ sku: "A1" })).count, 10);
    await app.stop();
    await assert.rejects(events.publish(OrderPlacedSchema, ordered), /stopped/);
    await app.start();
    assert.equal((await stock.count({ sku: "A1" })).count, 10);
    await events.publish(OrderPlacedSchema, ordered);
    await warehouse.sent;
    assert.equal(mails.length, 1);
  });

  test("the server of messages stops and starts while the others serve", async () => {
    await using warehouse = await startWarehouse("messaging: {}\n");
    const { app, events, mails } = warehouse;
    await app.stop("messages");
    await events.publish(OrderPlacedSchema, ordered);
    assert.equal((await curl(`http://${addressOf(app, "http")}/readyz`)).status, 200);
    assert.equal(mails.length, 0);
    await app.start("messages");
    await warehouse.sent;
    assert.equal(mails.length, 1);
  });

  test("with an admin port the service that shows what is read is there, for the role admin", async () => {
    const root = createApiKey("root");
    await using keys = await TemporaryFiles.create();
    const file = await keys.write("keys.json", [{ id: "root", hash: root.hash, roles: ["admin"] }]);
    await using warehouse = await startWarehouse(`messaging: {}
auth: { providers: { keys: { api_key: { keys_file: ${file} } } } }
access: { default: public }
admin: { port: 0 }
`);
    const { app, events } = warehouse;
    const admin = createClient(MessageAdminService, dial(addressOf(app, "admin")));
    const headers = { "x-api-key": root.key };
    await assert.rejects(admin.listSubscriptions({}), { code: Code.Unauthenticated });
    const { subscriptions } = await admin.listSubscriptions({}, { headers });
    const [{ topic, group } = assert.fail()] = subscriptions.filter((each) => each.topic === "orders");
    await admin.pauseSubscription({ topic, group }, { headers });
    await events.publish(OrderPlacedSchema, ordered);
    await admin.resumeSubscription({ topic, group }, { headers });
    await warehouse.sent;
  });

  test("what it says of rpcs, retries and outcomes wins over contracts", async () => {
    await using warehouse = await startWarehouse(
      `messaging:
  consume:
    retry: { delays: [1ms, 1ms] }
    outcomes: { NOT_FOUND: retry }
    identity: { id: consumer, roles: [mailer] }
  subscriptions:
    warehouse.v1.MailService/OnOrderPlaced: { group: letters, attempts: 2 }
access: { default: authenticated }
auth: { providers: { keys: { api_key: { keys_file: KEYS } } } }
`.replace("KEYS", await keysFile()),
    );
    const { events, mails, fail } = warehouse;
    fail(new ConnectError("no such customer", Code.NotFound));
    await events.publish(OrderPlacedSchema, ordered);
    await warehouse.sent;
    const [{ message, who } = assert.fail()] = mails;
    assert.deepEqual([message?.group, message?.attempt, who], ["letters", 2, "consumer"]);
  });

  test("flags alone ask for one, and say how events are read", async () => {
    await using warehouse = await startWarehouse("", [
      "--broker=memory:",
      "--consume-group=letters",
      "--consume-concurrency=3",
    ]);
    const { app, events, mails } = warehouse;
    await createClient(StockService, dial(app.broker)).count({ sku: "A1" }); // Commands keep their queue.
    await events.publish(OrderPlacedSchema, ordered);
    await warehouse.sent;
    assert.equal(mails[0]?.message?.group, "letters");
    assert.equal(app.config?.messaging?.consume?.concurrency, 3);
  });

  test("a program that only publishes reads nothing, and one without the section has no broker", async () => {
    await using app = await loadApp({ messaging: { consume: { enabled: false } } });
    await app.start();
    assert.deepEqual(
      app.servers.map(({ name }) => name),
      ["grpc", "http"],
    );
    assert.equal(app.broker.state, "ready");
    const without = await loadApp();
    assert.throws(() => without.broker, /this app has no broker/);
  });

  test("has the defaults of the library where it says nothing", async () => {
    const { config } = await loadApp({ messaging: {} });
    const { broker, consume } = config?.messaging ?? {};
    const { retry, crashLimit, timeoutMs, ackTimeoutMs, ...numbers } = messageServerDefaults;
    assert.deepEqual(consume?.retry?.delays, retry.delaysMs);
    assert.equal(consume?.retry?.jitter, retry.jitter);
    assert.deepEqual(
      { ...consume?.crashLimit, $typeName: undefined },
      { ...crashLimit, $typeName: undefined },
    );
    assert.deepEqual([consume?.timeout, consume?.ackTimeout], [timeoutMs, ackTimeoutMs]);
    const said: Record<string, unknown> = { ...consume };
    for (const [name, value] of Object.entries(numbers)) {
      if (name === "prefetch" || !["number", "boolean", "string"].includes(typeof value)) continue;
      if (name in said) assert.equal(said[name], value, name);
    }
    const { rabbitmq, memory, reconnect } = broker ?? {};
    const { heartbeatMs, queueType, partitions, maxFrameBytes } = rabbitMqDefaults;
    assert.deepEqual(
      [rabbitmq?.heartbeat, rabbitmq?.queueType, rabbitmq?.partitions, rabbitmq?.maxFrameBytes],
      [heartbeatMs, queueType, partitions, maxFrameBytes],
    );
    assert.deepEqual(
      [memory?.maxMessages, memory?.maxBytes],
      [memoryBrokerDefaults.maxMessages, memoryBrokerDefaults.maxBytes],
    );
    assert.deepEqual([reconnect?.initial, reconnect?.max], [200, 5_000]);
  });
});

test("with its broker away an app starts, is not ready, and says why", async () => {
  const taken = await takenPort();
  const { port } = taken;
  await taken[Symbol.asyncDispose]();
  const away = { url: `amqp://127.0.0.1:${port}` };
  await using app = await loadApp({ messaging: { broker: away } });
  app.addService(service(MailService, {}));
  await app.start();
  const ready = async (of: App) => (await curl(`http://${addressOf(of, "http")}/readyz`)).status;
  assert.equal(await ready(app), 503);
  assert.equal(app.servers.find(({ name }) => name === "messages")?.state, "listen");
  assert.match(app.checkReports["messaging"]?.error ?? "", /ECONNREFUSED/);
  // One that is not required for the program to be ready.
  await using other = await loadApp({ messaging: { broker: { ...away, required: false } } });
  await other.start();
  assert.equal(await ready(other), 200);
});

suite("mistakes in the section messaging name their place", () => {
  type Messaging = ConfigInit["messaging"];
  const rows: readonly (readonly [name: string, messaging: Messaging, message: RegExp])[] = [
    ["a scheme", { broker: { url: "amqq://a" } }, /messaging\.broker\.url: .*did you mean amqp:\?/],
    ["a prefix", { broker: { url: "amqp://a", prefix: "a b" } }, /messaging\.broker: .*prefix must/],
    ["a code", { consume: { outcomes: { NOTFOUND: "dead" } } }, /messaging\.consume: .*"NOTFOUND"/],
    ["an outcome", { consume: { outcomes: { NOT_FOUND: "hold" } } }, /outcomes\.NOT_FOUND must be retry/],
    [
      "ordering",
      { subscriptions: { "a.B/C": { ordering: "any" } } },
      /ordering: expected key, partition or none/,
    ],
  ];
  for (const [name, messaging, message] of rows) {
    const load = async (): Promise<unknown> =>
      ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides: { messaging } }), {});
    test(name, () => assert.rejects(load, message));
  }

  const echo = `${EchoService.typeName}/Echo`;
  const started: readonly (readonly [name: string, subscriptions: object, message: RegExp])[] = [
    ["an rpc that there is not", { "a.B/C": {} }, /messaging\.subscriptions: no service has the rpc a\.B\/C/],
    ["a key", { [echo]: { key: "nothing" } }, /messaging\.subscriptions: .*nothing/],
  ];
  for (const [name, subscriptions, message] of started) {
    test(name, async () => {
      await using app = await loadApp({ messaging: { subscriptions } });
      await assert.rejects(app.start(), message);
    });
  }
});

async function keysFile(): Promise<string> {
  const files = await TemporaryFiles.create();
  const { hash } = createApiKey("guest");
  return files.write("keys.json", [{ id: "guest", hash }]);
}

suite("the outbox of a configuration", () => {
  test("publishes what its transactions commit, and its messages have their effects once", async () => {
    await using files = await TemporaryFiles.create();
    const file = `${files.folder}/shop.db`;
    await using warehouse = await startWarehouse(`messaging: {}\noutbox: { sqlite: ${file}, poll: 10s }\n`);
    const { app, events, mails } = warehouse;
    const [id, ordering] = ["o-7", { id: "o-7" }];
    await app.sqlite.transact(undefined, (tx) => {
      void events.in(tx).publish(OrderPlacedSchema, ordered, ordering);
    });
    await warehouse.sent; // The commit wakes the relay.
    await assert.rejects(
      app.sqlite.transact(undefined, (tx) => {
        void events.in(tx).publish(OrderPlacedSchema, ordered);
        throw new Error("no");
      }),
      /no/,
    );
    await events.publish(OrderPlacedSchema, ordered, ordering); // The same id: the inbox knows it.
    await settled(warehouse, /outcome="duplicate"\} 1/);
    assert.deepEqual(
      mails.map(({ message }) => message?.id),
      [id],
    );
    const page = await warehouse.metrics();
    assert.match(page, /ts_ms_outbox_relayed_total\{result="confirmed"\} 1/);
    assert.match(page, /ts_ms_outbox_leader 1/);
    assert.throws(() => app.postgres, /no store in PostgreSQL/);
    await app.stop();
    await app.start();
    assert.equal(app.servers.find(({ name }) => name === "outbox")?.state, "ready");
  });

  const rows: readonly (readonly [name: string, init: ConfigInit, message: RegExp])[] = [
    ["no database", { messaging: {}, outbox: {} }, /outbox: exactly one of postgres and sqlite/],
    ["no broker", { outbox: { sqlite: ":memory:" } }, /outbox: needs messaging/],
    ["no file", { messaging: {}, outbox: { sqlite: "/no/such/x.db" } }, /outbox\.sqlite: .*\/no\/such/],
    ["no database of sagas", { saga: { postgres: "mysql://a" } }, /saga: .*databaseUrl must be postgres/],
  ];
  for (const [name, overrides, message] of rows) {
    test(`a mistake names its place: ${name}`, () =>
      assert.rejects(
        async () => ConfigPlan.of(await loadConfig({ argv: [], env: {}, overrides }), {}),
        message,
      ));
  }

  test("an app without the sections has neither store nor sagas", async () => {
    const app = await loadApp();
    assert.throws(() => app.sqlite, /no store in SQLite/);
    assert.throws(() => app.sagas, /this app has no sagas/);
  });
});

/** Waits until the metrics page has something. */
async function settled(
  { metrics }: { readonly metrics: () => Promise<string> },
  pattern: RegExp,
): Promise<void> {
  for (let tries = 0; !pattern.test(await metrics()); tries++) {
    assert.ok(tries < 500, `${pattern} does not come`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
