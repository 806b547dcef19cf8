import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import { messageTo, specOf } from "../../support/brokers/readings.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { rabbitMqFixture, soon, textOf } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const quick = { reconnect: { initialMs: 100, maxMs: 1_000 } };

test(
  "M02: RabbitMQ is killed five times while 100,000 messages are published: none that is confirmed is lost",
  { skip, timeout: 280_000 },
  async () => {
    const [sender, reader] = [await rabbit.broker(quick), await rabbit.broker(quick)];
    const came = new Map<string, number>();
    const last = new Map<string, number>();
    let outOfOrder = 0;
    const subscription = await reader.subscribe(
      specOf("killed", "g", { ordering: "key", prefetch: 500 }),
      (delivery) => {
        const text = textOf(delivery);
        came.set(text, (came.get(text) ?? 0) + 1);
        const [key = "", number] = text.split(" ");
        // Those that come again begin with one that came before.
        if (came.get(text) === 1 && Number(number) < (last.get(key) ?? 0)) outOfOrder++;
        last.set(key, Math.max(last.get(key) ?? 0, Number(number)));
        delivery.settle();
      },
    );
    const confirmed: string[] = [];
    const total = 100_000;
    let next = 0;
    const workers = Array.from({ length: 40 }, async (_, worker) => {
      for (let at = worker; at < total; at += 40 * 50) {
        const texts = Array.from({ length: 50 }, (_unused, i) => at + i * 40)
          .filter((number) => number < total)
          .map((number) => `k${worker} ${number}`);
        next += texts.length;
        const messages = texts.map((text) => messageTo("killed", text, { key: `k${worker}` }));
        const outcomes = await sender.publish(messages, { signal: AbortSignal.timeout(60_000) });
        outcomes.forEach((outcome, i) => {
          if (!(outcome instanceof ConnectError)) confirmed.push(texts[i] ?? "");
        });
      }
    });
    for (let kill = 1; kill <= 5; kill++) {
      await soon(() => next > (total / 6) * kill, 60_000);
      await rabbit.server.kill();
      await rabbit.server.restart();
    }
    await Promise.all(workers);
    assert.ok(confirmed.length > total * 0.9, `${confirmed.length} are confirmed`);
    await soon(() => confirmed.every((text) => came.has(text)), 60_000);
    assert.equal(outOfOrder, 0);
    await subscription.stop();
  },
);
