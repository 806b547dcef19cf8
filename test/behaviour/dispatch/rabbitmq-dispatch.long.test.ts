/** Events of RabbitMQ to subscriptions, by dispatchers in this process and in processes of their own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { EventDispatcherOptions } from "../../../src/dispatch/dispatch-options.ts";
import { EventDispatcher } from "../../../src/dispatch/dispatcher.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { specOf } from "../../support/brokers/readings.ts";
import { createCertificate } from "../../support/certificates.ts";
import { testRegistry } from "../../support/dispatch-rig.ts";
import { DispatchProgram } from "../../support/dispatch-program.ts";
import { all } from "../../support/failure.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { allowing, startReceiver } from "../../support/webhook-receiver.ts";
import { rabbitMqFixture, soon } from "../messaging/rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const method = "tsms.test.v1.MailService/OnOrderPlaced";
const tasks = "ts-ms.dispatch.tasks";

test("50 an event reaches an rpc, a webhook and a topic, with its attributes", { skip }, async () => {
  const broker = await rabbit.broker({ prefix: "targets." });
  const audit = await readIds(broker, "audit");
  await using receiver = await startReceiver();
  await using mail = await startMail();
  await using dispatcher = await startDispatcher(broker, {
    webhooks: allowing(receiver),
    subscriptions: {
      mail: { target: { case: "rpc", value: { target: mail.target, method } } },
      partner: { target: { case: "webhook", value: { url: receiver.url, secret } } },
      audit: { target: { case: "topic", value: "audit" } },
    },
  });
  await dispatcher.check();
  const { id } = await createPublisher(broker).publish(OrderPlacedSchema, { orderId: "7" });
  await soon(() => mail.ids.length + receiver.received.items.length + audit.length >= 3);
  assert.deepEqual([mail.ids, audit], [[id], [id]]);
  const [hook] = receiver.received.items;
  assert.equal(hook?.headers["ce-id"], id);
  assert.deepEqual(JSON.parse(hook.body), { orderId: "7", totalCents: "0", note: "" });
});

test("52 a subscriber that hangs and one that always fails hold no other", { skip }, async () => {
  const broker = await rabbit.broker({ prefix: "failing." });
  const audit = await readIds(broker, "audit");
  await using mail = await startMail();
  await using broken = await startMail(() => {
    throw new ConnectError("never", Code.Unavailable);
  });
  await using hanging = await startReceiver(() => {});
  await using dispatcher = await startDispatcher(broker, {
    webhooks: allowing(hanging),
    subscriptions: {
      hanging: { target: { case: "webhook", value: { url: hanging.url, secret } } },
      broken: { target: { case: "rpc", value: { target: broken.target, method } } },
      mail: { target: { case: "rpc", value: { target: mail.target, method } } },
      audit: { target: { case: "topic", value: "audit" } },
    },
  });
  await dispatcher.check();
  const published = await publishOrders(broker, 200);
  await soon(() => new Set(mail.ids).size === 200 && new Set(audit).size === 200);
  assert.deepEqual(mail.ids.toSorted(), published.toSorted());
  assert.ok(broken.ids.length > 0 && hanging.received.items.length > 0);
});

test(
  "52 a dispatcher that is killed and one that is stopped lose nothing: another one goes on",
  { skip },
  async () => {
    const broker = await rabbit.broker();
    const audit = await readIds(broker, "audit");
    await using files = await TemporaryFiles.create();
    const authority = createCertificate({ name: "an authority of this test" });
    const ca = await files.write("ca.pem", authority.cert);
    const own = createCertificate({ name: "localhost", hosts: ["localhost"], issuer: authority });
    await using receiver = await startReceiver(undefined, { ...own, host: "localhost" });
    await using mail = await startMail();
    const options = {
      url: rabbit.server.url,
      ports: [receiver.port],
      subscriptions: {
        mail: { rpc: { target: mail.target, method } },
        partner: { webhook: { url: receiver.url, secret } },
        audit: { topic: "audit" },
      },
    };
    const hooks = (): string[] => receiver.received.items.map(({ headers }) => String(headers["ce-id"]));
    const published = new Set<string>();
    const publish = async (count: number): Promise<void> => {
      for (const id of await publishOrders(broker, count)) published.add(id);
    };
    const reached = (count: number) => () =>
      [mail.ids, hooks(), audit].every((ids) => new Set(ids).size >= count);
    for (const [round, signal] of (["SIGKILL", "SIGTERM", "SIGKILL"] as const).entries()) {
      await using dispatcher = await DispatchProgram.start(options, ca);
      const publishing = publish(300);
      await soon(() => new Set(mail.ids).size > round * 400 + 50, 30_000);
      await dispatcher.end(signal);
      await publishing;
      await publish(100); // While there is none.
    }
    await using _ = await DispatchProgram.start(options, ca);
    await soon(reached(1_200), 30_000);
    for (const ids of [mail.ids, hooks(), audit])
      assert.deepEqual([...new Set(ids)].toSorted(), [...published].toSorted());
    assert.equal(new Set(mail.keys).size, 1_200); // What came twice has come with the same key.
  },
);

test(
  "52 two dispatchers of one group share the work, and each event is delivered once",
  { skip },
  async () => {
    const one = await rabbit.broker({ prefix: "two." });
    const other = await rabbit.broker({ prefix: "two." });
    await using mail = await startMail();
    const subscriptions = {
      mail: { target: { case: "rpc", value: { target: mail.target, method } } },
    } as const;
    await using first = await startDispatcher(one, { subscriptions });
    await using second = await startDispatcher(other, { subscriptions });
    const published = await publishOrders(one, 200);
    await soon(() => mail.ids.length >= 200);
    assert.deepEqual(mail.ids.toSorted(), published.toSorted());
    for (const dispatcher of [first, second]) {
      const { received = 0 } = dispatcher.queues.find(({ topic }) => topic === tasks) ?? {};
      assert.ok(received > 0, "one of them has delivered nothing");
    }
  },
);

test(
  "52 dead letters of ordered subscriptions are listed and replayed with those of tasks",
  { skip },
  async () => {
    const broker = await rabbit.broker({ prefix: "dead." });
    let isBroken = true;
    const refuse = (): void => {
      if (isBroken) throw new ConnectError("no such order", Code.NotFound);
    };
    await using mail = await startMail(refuse);
    const target = { case: "rpc", value: { target: mail.target, method } } as const;
    await using dispatcher = await startDispatcher(broker, {
      subscriptions: { plain: { target }, ordered: { target, ordered: true } },
    });
    const published = await publishOrders(broker, 3);
    const letters = dispatcher.deadLetters(tasks);
    await soon(async () => (await letters.count()) === 6);
    const listed = await all(letters.list({}));
    const topics = listed.map(({ message }) => headerOf(message, "x-ts-ms-dead-topic"));
    assert.deepEqual(new Set(topics), new Set([tasks, "ts-ms.dispatch.ordered.configuration.ordered"]));
    assert.equal((await all(letters.list({ limit: 4 }))).length, 4);
    isBroken = false;
    const before = mail.ids.length;
    assert.equal(await letters.replay({}), 6);
    await soon(() => mail.ids.length === before + 6);
    assert.deepEqual(mail.ids.slice(before).toSorted(), [...published, ...published].toSorted());
    assert.equal(await letters.count(), 0);
  },
);

async function startDispatcher(
  broker: Broker,
  options: Partial<EventDispatcherOptions>,
): Promise<EventDispatcher> {
  const dispatcher = new EventDispatcher({
    logger: false,
    topics: ["orders"],
    registry: testRegistry,
    ...options,
    broker,
  });
  await dispatcher.start();
  return dispatcher;
}

/** A server of mails with what it was called for: ids of events, and keys of calls. */
async function startMail(handle: () => void = () => {}) {
  const ids: string[] = [];
  const keys: string[] = [];
  const grpc = new GrpcServer({ port: 0, logger: false });
  grpc.addService(
    service(MailService, {
      onOrderPlaced(_, { requestHeader }) {
        ids.push(requestHeader.get("ce-id") ?? "");
        keys.push(requestHeader.get("idempotency-key") ?? "");
        handle();
        return {};
      },
    }),
  );
  await grpc.start();
  return {
    ids,
    keys,
    target: `127.0.0.1:${grpc.address?.port}`,
    async [Symbol.asyncDispose]() {
      await grpc.gracefulStop({ graceMs: 10 });
    },
  };
}

/** Publishes orders of ten keys. Resolves with their ids when all are confirmed. */
async function publishOrders(broker: Broker, count: number): Promise<string[]> {
  const publisher = createPublisher(broker);
  const published = Array.from({ length: count }, (_, at) =>
    publisher.publish(OrderPlacedSchema, { orderId: String(at % 10) }),
  );
  return (await Promise.all(published)).map(({ id }) => id);
}

/** Reads a topic from now on. @returns the ids of what has come */
async function readIds(broker: Broker, topic: string): Promise<readonly string[]> {
  const ids: string[] = [];
  const spec = specOf(topic, "readers", { types: ["tsms.test.v1.OrderPlaced"] });
  await broker.subscribe(spec, (delivery) => {
    ids.push(headerOf(delivery.message, "cloudEvents_id"));
    delivery.settle();
  });
  return ids;
}

function headerOf(
  { headers }: { readonly headers: readonly (readonly [string, unknown])[] },
  name: string,
): string {
  const value = headers.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1];
  return typeof value === "string" ? value : "";
}
