import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MailService, OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { sqliteStore } from "../../../src/outbox/sqlite-store.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { rabbitMqFixture, soon } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const options = { partitions: 4 };
const total = 20_000;
const perSecond = 500;
const rounds = 10;
const keysOfEach = 50;

/** What all consumers have run. */
class Runs {
  readonly #ran = new Map<string, number>();
  readonly #last = new Map<string, number>();
  outOfOrder = 0;
  twice = 0;

  get count(): number {
    return this.#ran.size;
  }

  add(key: string, number: number): void {
    const message = `${key} ${number}`;
    const before = this.#ran.get(message) ?? 0;
    this.#ran.set(message, before + 1);
    if (before > 0) this.twice++;
    if (number !== (this.#last.get(key) ?? -1) + 1) this.outOfOrder++;
    this.#last.set(key, number);
  }
}

/** A process that consumes, with an inbox. @returns what stops it */
async function consume(runs: Runs, inboxFile: string): Promise<() => Promise<void>> {
  const broker = await rabbit.broker(options);
  const inbox = sqliteStore(inboxFile);
  await inbox.migrate();
  const mail = service(MailService, {
    async onOrderPlaced({ orderId, totalCents }) {
      runs.add(orderId, Number(totalCents));
      await new Promise((resolve) => setTimeout(resolve, 2));
      return {};
    },
  });
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(mail);
  const messages = new MessageServer({ broker, upstream: grpc, inbox, logger: false });
  messages.addService(mail);
  await grpc.start();
  await messages.start();
  return async () => {
    const { cut } = await messages.gracefulStop();
    assert.deepEqual(cut, []);
    await grpc.gracefulStop();
    await broker.gracefulStop();
  };
}

/** A process that publishes, as often as it is asked to. */
class PublishingProcess {
  readonly #keys: readonly string[];
  readonly #underWay: Promise<unknown>[] = [];
  #next = 0;
  #events: ReturnType<typeof createPublisher> | undefined;
  #stop = async (): Promise<void> => {};
  /** Whether it is down. */
  #restarting: Promise<void> | undefined;

  constructor(name: string) {
    this.#keys = Array.from({ length: keysOfEach }, (_, at) => `${name}-${at}`);
  }

  async start(): Promise<void> {
    const broker = await rabbit.broker(options);
    this.#events = createPublisher(broker, { timeoutMs: 20_000 });
    this.#stop = async () => {
      const { cut } = await broker.gracefulStop();
      assert.deepEqual(cut, []);
    };
  }

  /** Publishes one message; nothing while it is restarted. @returns whether it has */
  publish(): boolean {
    if (this.#restarting !== undefined || this.#events === undefined) return false;
    const orderId = this.#keys[this.#next % keysOfEach] ?? "";
    const totalCents = BigInt(Math.floor(this.#next / keysOfEach));
    this.#next++;
    this.#underWay.push(this.#events.publish(OrderPlacedSchema, { orderId, totalCents }));
    return true;
  }

  restart(): Promise<void> {
    this.#restarting = this.#stop()
      .then(() => this.start())
      .finally(() => (this.#restarting = undefined));
    return this.#restarting;
  }

  /** Resolves when everything is confirmed. @throws the first failure */
  async confirmed(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async stop(): Promise<void> {
    await this.#stop();
  }
}

test(
  "rolling restart of 2 consumers and 2 publishers, 10 rounds at 500/s: 0 of 20,000 lost, 0 run twice, 0 out of order",
  { skip, timeout: 280_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "inbox-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const inboxFile = join(folder, "inbox.db");
    const runs = new Runs();
    const consumers = [await consume(runs, inboxFile), await consume(runs, inboxFile)];
    const publishers = [new PublishingProcess("a"), new PublishingProcess("b")];
    for (const publisher of publishers) await publisher.start();
    let published = 0;
    let turn = 0;
    const beganMs = performance.now();
    const pace = setInterval(() => {
      const due = Math.min(total, ((performance.now() - beganMs) / 1_000) * perSecond);
      for (let tries = 0; published < due && tries < 2 * perSecond; tries++) {
        if (publishers[turn++ % publishers.length]?.publish() === true) published++;
      }
    }, 10);
    t.after(() => clearInterval(pace));
    for (let round = 1; round <= rounds; round++) {
      await soon(() => published >= (total / (rounds + 1)) * round, 60_000);
      for (const at of [0, 1]) {
        await consumers[at]?.();
        consumers[at] = await consume(runs, inboxFile);
        await publishers[at]?.restart();
      }
    }
    await soon(() => published === total, 120_000);
    for (const publisher of publishers) await publisher.confirmed();
    await soon(() => runs.count === total, 60_000);
    assert.deepEqual([runs.twice, runs.outOfOrder], [0, 0]);
    for (const stop of consumers) await stop();
    for (const publisher of publishers) await publisher.stop();
    assert.deepEqual([runs.count, runs.twice, runs.outOfOrder], [total, 0, 0]);
  },
);
