import assert from "node:assert/strict";
import { test } from "node:test";
import { MailService, StockCountedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { MessageServer } from "../../../src/messaging/message-server.ts";
import { createPublisher } from "../../../src/messaging/publisher.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { ScaledClock } from "../../support/scaled-clock.ts";
import { seeded } from "../../support/virtual-clock.ts";
import { rabbitMqFixture, soon } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();
const waiting = 10_000;

test(
  "M12: what handlers need is away for 3 minutes, 10,000 messages of RabbitMQ wait: few runs, no dead letter, soon done",
  { skip, timeout: 200_000 },
  async () => {
    const clock = new ScaledClock(4);
    let isAway = true;
    let runs = 0;
    let handled = 0;
    const mail = service(MailService, {
      onStockCounted() {
        runs++;
        if (isAway) throw new ConnectError("the database is away", Code.Unavailable);
        handled++;
        return {};
      },
    });
    const grpc = new GrpcServer({ listen: false, logger: false }).addService(mail);
    const messages = new MessageServer(
      { broker: await rabbit.broker(), upstream: grpc, logger: false },
      { clock, random: seeded(12) },
    );
    messages.addService(mail);
    await grpc.start();
    await messages.start();
    const events = createPublisher(await rabbit.broker(), { timeoutMs: 30_000 });
    const awayMs = clock.nowMs();
    await Promise.all(
      Array.from({ length: waiting }, (_, count) => events.publish(StockCountedSchema, { count })),
    );
    await clock.pass(180_000 - (clock.nowMs() - awayMs));
    assert.ok(runs <= 100, `${runs} runs in the outage`);
    const statistics = () => messages.subscriptions.find(({ topic }) => topic === "stock");
    assert.deepEqual([...(statistics()?.pauses ?? [])], ["breaker"]);
    isAway = false;
    const backMs = clock.nowMs();
    await soon(() => handled >= waiting, 60_000);
    const tookMs = clock.nowMs() - backMs;
    assert.ok(tookMs <= 60_000, `${tookMs} ms of that clock until all are done`);
    await soon(() => statistics()?.settled.ok === waiting);
    assert.deepEqual([statistics()?.dead, handled], [{}, waiting]);
    await messages.gracefulStop();
    await grpc.gracefulStop();
  },
);
