import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MailService, StockCountedSchema, StockService } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { postgresStore } from "../../../src/outbox/postgres-store.ts";
import { failure } from "../../support/failure.ts";
import { serveStock, stockTopic } from "../../support/message-calls.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { Program } from "../../support/program.ts";
import { withoutRabbitMq } from "../../support/rabbitmq-server.ts";
import { stallingProxy } from "../../support/stalling-proxy.ts";
import { rabbitMqFixture, soon } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const consumerFile = "test/programs/fixtures/message-consumer.ts";

describe("a process with calls ends", { skip: withoutRabbitMq }, () => {
  const options = { timeoutMs: 20_000 };

  /** Handlers in this process, which count their runs. */
  async function served() {
    const runs: string[] = [];
    const broker = await rabbit.broker();
    const ran = (sku: string): void => void runs.push(sku);
    const stock = await serveStock(broker, {
      async sell({ sku }) {
        ran(sku);
        if (sku.startsWith("slow")) await sleep(700);
        return { left: 2 };
      },
      count({ sku }) {
        ran(sku);
        return { count: 2 };
      },
    });
    /** Nothing is left, whatever has become of the calls. */
    async function isIdle(): Promise<void> {
      const statistics = () => stock.messages.subscriptions[0];
      await soon(() => statistics()?.inFlight === 0 && statistics()?.buffered === 0);
      assert.equal(await stock.messages.deadLetters(stockTopic, "stock").count(), 0);
      // RabbitMQ counts the messages of a quorum queue every five seconds.
      const idle = new RegExp(`^${stockTopic}.stock\\t0$`, "m");
      const queues = () => rabbit.server.ctl("list_queues", "name", "messages");
      for (let text = await queues(), tries = 0; !idle.test(text); text = await queues())
        assert.ok(++tries < 30, text);
    }
    return { ...stock, runs, isIdle };
  }

  test("M23: the consumer is killed before, in and after the run: one outcome, and no second run of what may not have one", async () => {
    const client = createClient(StockService, dial(await rabbit.broker()));
    await using consumer = new Program(consumerFile, rabbit.server.url);
    await consumer.line(/^ready$/);
    const held = failure(client.sell({ sku: "hold 1" }, options), Code.Unavailable);
    await consumer.line(/^run hold 1$/);
    const waiting = failure(client.sell({ sku: "waits" }, options), Code.Unavailable);
    const counted = client.count({ sku: "counted" }, options);
    const unread = async (): Promise<boolean> =>
      new RegExp(`^${stockTopic}.stock\\t0\\t3$`, "m").test(
        await rabbit.server.ctl("list_queues", "name", "messages_ready", "messages_unacknowledged"),
      );
    await soon(unread);
    await consumer.stop("SIGKILL");
    await using dying = new Program(consumerFile, rabbit.server.url);
    // Its caller is told, or it dies first: then the next consumer tells.
    await dying.line(/^ready$/);
    const died = failure(client.sell({ sku: "die 1" }, options), Code.Unavailable);
    await dying.line(/^run die 1$/);
    await dying.exit();
    await using stock = await served();
    const unknown = "the consumer ended during the call; its outcome is unknown";
    const outcomes = await Promise.all([held, waiting, died]);
    assert.deepEqual(
      outcomes.map(({ rawMessage }) => rawMessage),
      [unknown, unknown, unknown],
    );
    await counted;
    await client.sell({ sku: "after" }, options);
    const all = [...consumer.lines, ...dying.lines, ...stock.runs.map((sku) => `run ${sku}`)];
    const runs = all.filter((line) => line.startsWith("run ") && line !== "run counted").toSorted();
    assert.deepEqual(runs, ["run after", "run die 1", "run hold 1"]);
    await stock.isIdle();
  });

  test("M23: the caller is killed: its call ends once, and the consumer goes on", async () => {
    await using stock = await served();
    await using caller = new Program("test/programs/fixtures/message-caller.ts", rabbit.server.url, "slow 1");
    await soon(() => stock.runs.includes("slow 1"));
    await caller.stop("SIGKILL");
    const client = createClient(StockService, dial(await rabbit.broker()));
    assert.equal((await client.sell({ sku: "next" }, options)).left, 2);
    await stock.isIdle();
    assert.deepEqual(stock.runs, ["slow 1", "next"]);
  });

  test("M23: the reply is lost: DEADLINE_EXCEEDED at the deadline, and one run", async () => {
    await using stock = await served();
    await using proxy = await stallingProxy(rabbit.server.port);
    const broker = await rabbit.broker({ url: `amqp://guest:guest@127.0.0.1:${proxy.port}` });
    const client = createClient(StockService, dial(broker));
    await client.count({ sku: "before" }, options);
    const beganMs = performance.now();
    const lost = failure(client.sell({ sku: "slow 2" }, { timeoutMs: 2_000 }), Code.DeadlineExceeded);
    await soon(() => stock.runs.includes("slow 2"));
    proxy.stall();
    await lost;
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs >= 1_950 && tookMs < 2_500, `${tookMs} ms`);
    await stock.isIdle();
    assert.deepEqual(stock.runs, ["before", "slow 2"]);
    await broker.gracefulStop({ graceMs: 0 });
  });
});

describe("a consumer with an inbox ends", { skip: withoutRabbitMq || withoutPostgres }, () => {
  let postgres: PostgresServer;
  before(async () => {
    postgres = await PostgresServer.start();
  });
  after(() => postgres?.stop());

  test("M22: killed before and behind the commit of its effect: the effect is there once", async () => {
    const pool = postgres.pool();
    await pool.query("create table effects (sku text)");
    const store = postgresStore(pool);
    await store.migrate();
    const skus = ["before 1", "after 1", "plain 1", "before 2", "after 2"];
    await using consumer = new Program(consumerFile, rabbit.server.url, postgres.url);
    await consumer.line(/^ready$/);
    const events = createPublisher(await rabbit.broker());
    for (const sku of skus) await events.publish(StockCountedSchema, { sku });
    for (const sku of skus) await consumer.line(new RegExp(`^(?:open|committed) ${sku}$`));
    await consumer.stop("SIGKILL");
    const broker = await rabbit.broker();
    const effects: string[] = [];
    const mail = service(MailService, {
      onStockCounted: ({ sku }, context) =>
        store.transact(context, async (tx) => {
          await tx.query("insert into effects values ($1)", [sku]);
          effects.push(sku);
          return {};
        }),
    });
    const grpc = new GrpcServer({ listen: false, logger: false }).addService(mail);
    const messages = new MessageServer({ broker, upstream: grpc, inbox: store, logger: false });
    messages.addService(mail);
    await grpc.start();
    await messages.start();
    const settled = () => messages.subscriptions.find(({ topic }) => topic === "stock")?.settled ?? {};
    await soon(() => (settled().ok ?? 0) + (settled().duplicate ?? 0) >= 4, 20_000);
    await messages.gracefulStop();
    await grpc.gracefulStop();
    const { rows } = await pool.query<{ sku: string }>("select sku from effects");
    assert.deepEqual(rows.map(({ sku }) => sku).toSorted(), skus.toSorted());
    assert.deepEqual(effects.toSorted(), ["before 1", "before 2"]);
  });
});
