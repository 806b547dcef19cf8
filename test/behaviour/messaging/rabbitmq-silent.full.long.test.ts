import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import amqplib from "amqplib";
import type { PublisherState } from "../../programs/fixtures/message-publisher.ts";
import { Program } from "../../support/program.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { rabbitMqFixture, soon } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const mebibyte = 1024 * 1024;
/** What a publisher may hold: unconfirmed messages, and those that wait. */
const boundBytes = 16 * mebibyte + 10_000 * 1_024;
/** The time-out of a publish by default. */
const deadlineMs = 5_000;

test(
  "M24: a publisher makes ten times what RabbitMQ takes, which is silent for 60 s then: its memory is bounded, UNAVAILABLE by the deadline, and it goes on",
  { skip, timeout: 280_000 },
  async () => {
    const connection = await amqplib.connect(rabbit.server.url);
    const channel = await connection.createChannel();
    await channel.assertExchange("stock", "topic", { durable: true });
    const args = { "x-queue-type": "quorum", "x-max-length": 1_000 };
    await channel.assertQueue("kept", { durable: true, arguments: args });
    await channel.bindQueue("kept", "stock", "#");
    await connection.close();
    await using publisher = new Program("test/programs/fixtures/message-publisher.ts", rabbit.server.url);
    const states = (): PublisherState[] => publisher.lines.map((line) => JSON.parse(line) as PublisherState); // As it prints.
    const last = (): PublisherState | undefined => states().at(-1);
    const isOverloaded = ({ attempted, confirmed, underWay }: PublisherState): boolean =>
      confirmed > 1_000 && attempted >= 9 * confirmed && underWay > 9_000;
    await soon(() => states().filter(isOverloaded).length >= 20, 90_000).catch((reason: unknown) => {
      throw new Error(`it is not overloaded: ${JSON.stringify(states().slice(-5))}`, { cause: reason });
    });
    const before = last();
    assert.ok(before !== undefined);
    const steady = states().length;
    rabbit.server.freeze();
    try {
      await sleep(60_000);
    } finally {
      rabbit.server.thaw();
    }
    const silent = states().slice(steady);
    const most = (of: (state: PublisherState) => number): number => Math.max(...silent.map(of));
    const idleBytes = states()[0]?.rssBytes ?? 0;
    const rss = most(({ rssBytes }) => rssBytes);
    const text = `RSS of ${rss / mebibyte} MiB, ${idleBytes / mebibyte} at the start, ${before.rssBytes / mebibyte} before the silence`;
    assert.ok(rss <= before.rssBytes + 16 * mebibyte + boundBytes, text);
    assert.ok(most(({ underWay }) => underWay) <= 10_010, "no more wait than may");
    const late = most(({ longestMs }) => longestMs);
    assert.ok(late < deadlineMs + 1_000, `${late} ms until a publish had its outcome`);
    const during = silent.at(-1);
    assert.ok((during?.unavailable ?? 0) > before.unavailable + 50_000 && during?.failed === 0);
    await soon(() => (last()?.confirmed ?? 0) > (during?.confirmed ?? 0) + 1_000, 30_000);
    assert.equal(last()?.failed, 0);
  },
);
