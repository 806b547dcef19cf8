import { test } from "node:test";
import { messageCalls } from "../../support/message-calls.ts";
import { withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { rabbitMqFixture } from "./rabbitmq-fixture.ts";

const rabbit = rabbitMqFixture();

for (const { name, run } of messageCalls) {
  test(`${name}, over RabbitMQ`, { skip }, () => run(() => rabbit.broker()));
}
